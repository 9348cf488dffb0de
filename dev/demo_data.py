"""Furnishes the demo's database: the model, the tools, the assistant, and admin's conversation with it.

Run by `demo.py` as a process with Odoo's configuration, and only when something has changed. Running it again changes
nothing that a person has added.
"""

import json
import os

from odoo import api
from odoo.models import BaseModel
from odoo.modules.registry import Registry
from odoo.tools import config

ASSISTANT = "Demo Assistant"
SERVER = "Office tools"
PROVIDER = "Demo model"
SCRIPTED_MODEL = "scripted-demo"  # as `demo_model` calls itself, openly
CONTEXT_TOKENS = 32_000
# Nobody is paid anything. With prices such as those of a small hosted model, one sees where costs are shown.
PRICES = {"input_price": 0.25, "cached_price": 0.025, "output_price": 2.0}
PROMPT = (
    "You are the assistant of a small office supplier. Use the tools for anything that they can look up or calculate, "
    "several at once where they do not depend on each other. Answer briefly, in the language of the question."
)

PROMPTS = """\
Which desks do we have under 300 €?
Quote 12 ergo chairs with 10 % discount
Draw a chart of our sales in 2025 and 2026
Remind me to …"""


def main() -> None:
    wanted = json.loads(os.environ["AI_DISCUSS_DEMO"])
    config.parse_config([], setup_logging=True)
    with Registry(config["db_name"][0]).cursor() as cr:
        env = api.Environment(cr, api.SUPERUSER_ID, {})
        admin = env.ref("base.user_admin")
        furnish(env(user=admin.id, context=admin.context_get()), wanted)


def furnish(env: api.Environment, wanted: dict[str, str]) -> None:
    provider = _put(env["ai.provider"], PROVIDER, base_url=wanted["base_url"])
    provider.api_key = wanted["api_key"]
    server = _put_server(env, wanted["mcp_url"])
    known = server.tool_ids
    env.cr.commit()  # the synchronisation waits for the server, and does so outside of a transaction
    server.action_sync_tools()
    (server.tool_ids - known).filtered("destructive").approval = "ask"  # to show how people are asked
    if server.state != "connected":
        raise SystemExit(f"The demo's MCP server cannot be used: {server.state_message}")
    assistant = _put(
        env["ai.assistant"], ASSISTANT,
        description="Looks up, calculates and draws with the tools of a small office supplier", prompts=PROMPTS,
        system_prompt=PROMPT, provider_id=provider.id, model=wanted["model"], mcp_server_ids=[(4, server.id)],
    )  # fmt: skip
    _use_for_examples(env, provider, wanted["model"])
    if wanted["model"] == SCRIPTED_MODEL:
        _describe_stand_in(env, provider)
    assistant.open_chat()
    env.cr.commit()


def _put(records: BaseModel, name: str, **values: object) -> BaseModel:
    """The record of that name, with these values."""
    record = records.with_context(active_test=False).search([("name", "=", name)], limit=1)
    if record:
        record.write({"active": True, **values})
        return record
    return records.create({"name": name, **values})


def _put_server(env: api.Environment, url: str) -> BaseModel:
    """The demo's server. On another port it is still the same: what people decided about its tools holds."""
    decided = {tool: tool.approval for tool in env["mcp.server"].search([("name", "=", SERVER)], limit=1).tool_ids}
    server = _put(env["mcp.server"], SERVER, scope="shared", transport="streamable_http", url=url)
    for tool, approval in decided.items():
        tool.approval = approval
    return server


def _describe_stand_in(env: api.Environment, provider: BaseModel) -> None:
    """What the scripted stand-in reads and would cost; a card that is there stays as people have made it."""
    if not env["ai.model"]._find(provider, SCRIPTED_MODEL):
        dollars = env.ref("base.USD")
        card = {"name": SCRIPTED_MODEL, "context_tokens": CONTEXT_TOKENS, "currency_id": dollars.id, **PRICES}
        env["ai.model"].create({"provider_id": provider.id, **card})


def _use_for_examples(env: api.Environment, provider: BaseModel, model: str) -> None:
    """The addon's own examples point to a model that hardly anybody runs; here, all that one can talk to answers."""
    example = env.ref("ai_discuss.provider_local", raise_if_not_found=False)
    if example:
        assistants = env["ai.assistant"].search([("provider_id", "=", example.id)])
        assistants.write({"provider_id": provider.id, "model": model})


if __name__ == "__main__":
    main()
