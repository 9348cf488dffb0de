"""What a real MCP server returns beside text, up to where people find it: as files of the assistant's reply."""

import base64

from tests.fakes.mcp_servers import PAGE, PIXEL, TONE, McpHttpServer
from tests.fakes.model_server import calls, text
from tests.runtime.conftest import Room


def test_q37_images_sounds_files_links_and_data_reach_the_person(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("mixed", {}), ("structured", {"city": "Oslo"})), text("Look."))
        room.say("Show me everything.")
        run = room.ended()[0]
    reply = room.person.read("mail.message", run["message_id"], "attachment_ids")
    files = room.person.call("ir.attachment", "read", sorted(reply["attachment_ids"]), ["name", "mimetype", "datas"])
    assert [(file["name"], file["mimetype"], file["datas"]) for file in files] == [
        ("mixed.png", "image/png", PIXEL),
        ("mixed.wav", "audio/wav", TONE),
        ("scan.pdf", "application/pdf", PAGE),
    ]
    mixed, structured = room.person.search_read(
        "ai.tool.call", [("run_id", "=", run["id"])], "attachment_ids", "parts", "response", order="id"
    )
    assert sorted(mixed["attachment_ids"]) == sorted(reply["attachment_ids"])
    assert [part["kind"] for part in mixed["parts"]] == ["image", "audio", "link", "file"]
    assert mixed["parts"][2]["uri"] == "https://example.com/manual"
    assert [part["text"] for part in structured["parts"]] == ['{"city": "Oslo", "degrees": 21}']
    assert "embedded words" in mixed["response"]
    assert PIXEL not in str(room.model.requests[-1].body)
    assert "attached to your reply: 3" in str(room.model.requests[-1].body)


def test_q37_a_file_is_served_to_whoever_may_read_the_reply_and_never_executed(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("mixed", {})), text("Look."))
        room.say("Show me everything.")
        run = room.ended()[0]
    image, *_others = sorted(room.person.read("mail.message", run["message_id"], "attachment_ids")["attachment_ids"])
    served = room.person.http.get(f"/web/content/{image}")
    assert (served.status_code, served.content) == (200, base64.b64decode(PIXEL))
    assert served.headers["content-security-policy"] == "default-src 'none'"
    assert served.headers["x-content-type-options"] == "nosniff"
    assert room.server.person("stranger").http.get(f"/web/content/{image}").status_code == 404
    assert room.server.anonymous().get(f"/web/content/{image}").status_code == 404


def test_q36_a_long_result_is_a_file_of_the_reply_within_the_limits_that_are_set(room: Room):
    server = room.server
    server.admin.call("ir.config_parameter", "set_param", "ai_discuss.kept_chars", "50000")
    try:
        with McpHttpServer() as tools:
            room.use(tools)
            room.model.script(calls(("huge", {"chars": 100_000})), text("Long."))
            room.say("Give me all of it.")
            run = room.ended()[0]
    finally:
        server.admin.call("ir.config_parameter", "set_param", "ai_discuss.kept_chars", False)
    (file_id,) = room.person.read("mail.message", run["message_id"], "attachment_ids")["attachment_ids"]
    file = room.person.read("ir.attachment", file_id, "name", "mimetype", "file_size")
    assert (file["name"], file["mimetype"]) == ("huge.txt", "text/plain")
    assert 50_000 < file["file_size"] < 50_100


def test_a_replay_without_a_journal_still_has_the_result(room: Room):
    with McpHttpServer() as tools:
        room.use(tools)
        room.model.script(calls(("mixed", {})), text("Look."))
        room.say("Show me everything.")
        run = room.ended()[0]
    told = room.frames(run["id"])
    room.server.sql("DELETE FROM ai_run_event WHERE run_id = %s", run["id"])
    stream = room.person.http.get(f"/api/ai/stream/{room.channel_id}?run_id={run['id']}").text
    (result,) = [frame["result"] for frame in told if frame["type"] == "tool_result"]
    assert "audio/wav" in result
    assert "attached to your reply: 3" in stream
