"""What holds for a tool under its server's and its assistant's rules."""

import pytest

from services.approvals import strictest


@pytest.mark.parametrize(
    ("approval", "server", "assistant", "reads", "changes"),
    [
        ("auto", "tool", "tool", "auto", "auto"),
        ("ask", "tool", "tool", "ask", "ask"),
        ("never", "tool", "tool", "never", "never"),
        ("auto", "changes", "tool", "auto", "ask"),
        ("auto", "tool", "changes", "auto", "ask"),
        ("auto", "ask", "tool", "ask", "ask"),
        ("auto", "tool", "ask", "ask", "ask"),
        ("auto", "changes", "ask", "ask", "ask"),
        ("ask", "changes", "changes", "ask", "ask"),
        ("auto", "never", "tool", "never", "never"),
        ("ask", "never", "ask", "never", "never"),
        ("never", "ask", "changes", "never", "never"),
    ],
)
def test_the_strictest_of_tool_server_and_assistant_wins(approval, server, assistant, reads, changes):
    assert strictest(approval, server, assistant, read_only=True) == reads
    assert strictest(approval, server, assistant, read_only=False) == changes
