import { defineMailModels, start } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { getService } from "@web/../tests/web_test_helpers";

describe.current.tags("headless");
defineMailModels();

async function receive(...frames) {
    await start();
    const run = getService("mail.store")["ai.run"].insert({ id: 7, state: "running" });
    frames.forEach((frame) => run.receive(frame));
    return run;
}

test("chunks are one text", async () => {
    const run = await receive({ type: "chunk", content: "Hel" }, { type: "chunk", content: "lo" });
    expect(run.text).toBe("Hello");
});

test("a restart takes back what was said in its round, and nothing before it", async () => {
    const run = await receive(
        { type: "reasoning", content: "First." },
        { type: "chunk", content: "One." },
        { type: "step", round: 1, finish_reason: "tool_calls" },
        { type: "reasoning", content: "Second." },
        { type: "chunk", content: "\n\nTw" },
        { type: "restart", round: 2 },
        { type: "chunk", content: "\n\nTwo." }
    );
    expect(run.text).toBe("One.\n\nTwo.");
    expect(run.reasoning).toBe("First.");
});

test("a restart of the first round takes back everything", async () => {
    const run = await receive(
        { type: "reasoning", content: "Well" },
        { type: "chunk", content: "He" },
        { type: "restart", round: 1 }
    );
    expect(run.text).toBe("");
    expect(run.reasoning).toBe("");
});

test("notices are kept in their order", async () => {
    const run = await receive(
        { type: "notice", code: "server_unreachable", message: "A" },
        { type: "notice", code: "round_limit", message: "B" }
    );
    expect(run.notices.map((notice) => notice.code)).toEqual(["server_unreachable", "round_limit"]);
});
