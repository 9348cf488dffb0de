"""Whether calls of a tool run unasked, wait for a person or are never made: all that people decided, as one answer.

A tool has an approval of its own. Its server and the assistant that uses it have a rule for all of their tools; such a
rule only ever makes things stricter.
"""

STRICTNESS = ("auto", "ask", "never")  # approvals, from the mildest


def strictest(approval: str, *rules: str, read_only: bool) -> str:
    """What holds for a tool with this `approval` under all these rules. `read_only` is the server's word."""
    return max(approval, *(_demanded(rule, read_only) for rule in rules), key=STRICTNESS.index)


def _demanded(rule: str, read_only: bool) -> str:
    """The least that a rule for many tools wants of one of them."""
    match rule:
        case "tool":  # as each tool says
            return "auto"
        case "changes":  # whatever is not declared to be read-only may change something
            return "auto" if read_only else "ask"
        case _:
            return rule
