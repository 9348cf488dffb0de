"""Models and MCP servers that fail in every way of docs/faults.md, all at once: `make bench ARGS=chaos` in small."""

from tests.fakes.chaos import Chaos

SEED = 7


def test_whatever_fails_each_run_ends_once_with_a_valid_transcript_and_no_call_is_sent_twice(live):
    with Chaos(live, SEED) as chaos:
        chaos.run(40, at_once=20)
        assert chaos.violations() == []
        assert len(chaos.took) == 40
