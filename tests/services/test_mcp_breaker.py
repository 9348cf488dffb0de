"""When an MCP server is tried, and when not; the time is the test's."""

from contextlib import ExitStack

import pytest

from services.mcp_breaker import Breaker
from services.mcp_port import McpUnreachable
from services.specs import ServerSpec
from tests.fakes.mcp_pools import Clock, Watch

SERVER = ServerSpec(1, "workshop", "streamable_http", url="http://127.0.0.1:1/mcp")


class Server:
    """A breaker, its clock, and who watches it."""

    def __init__(self):
        self.clock = Clock()
        self.watch = Watch()
        self.breaker = Breaker(SERVER, self.watch, self.clock, (1.0, 10.0, 100.0))

    def passes(self, seconds):
        self.clock.now += seconds

    def call(self, *, fails):
        """One call that takes a moment."""
        began = self.clock.now
        with self.breaker.calling():
            self.passes(0.001)
            if fails:
                self.breaker.call_failed("It broke.", began)
            else:
                self.breaker.answered()

    def is_left_alone(self):
        try:
            self.breaker.check()
        except McpUnreachable:
            return True
        return False

    def fail_until_open(self):
        for _ in range(3):
            self.call(fails=True)
        assert self.is_left_alone()


def test_q33_a_server_that_cannot_be_connected_is_left_alone_for_longer_and_longer():
    server = Server()
    for pause in (1, 10, 100, 100):
        server.breaker.not_connected("Nobody is there.")
        server.passes(pause - 0.01)
        with pytest.raises(McpUnreachable, match="Nobody is there"):
            server.breaker.check()
        server.passes(0.01)
        server.breaker.check()
    assert server.watch.told == [("failed", 1, 1), ("failed", 2, 10), ("failed", 3, 100), ("failed", 4, 100)]


def test_q33_once_it_is_connected_the_pauses_begin_anew():
    server = Server()
    for _ in range(2):
        server.breaker.not_connected("Nobody is there.")
        server.breaker.connected()
        assert not server.is_left_alone()
    assert server.watch.told == [("failed", 1, 1), ("answered",)] * 2


def test_q33_calls_in_a_row_that_break_open_it_and_a_few_do_not():
    server = Server()
    server.call(fails=True)
    server.call(fails=True)
    assert not server.is_left_alone()
    server.call(fails=True)
    assert server.is_left_alone()
    with pytest.raises(McpUnreachable, match="It broke"), server.breaker.calling():
        pytest.fail("It was called.")
    assert server.watch.told == [("failed", 1, 0), ("failed", 2, 0), ("failed", 3, 100)]


def test_q33_an_answer_in_between_counts_from_the_start():
    server = Server()
    for _ in range(4):
        server.call(fails=True)
        server.call(fails=True)
        server.call(fails=False)
    assert not server.is_left_alone()


def test_q33_calls_that_fail_together_are_one_failure():
    server = Server()
    began = server.clock.now
    server.passes(30)
    for _ in range(20):
        server.breaker.call_failed("It broke.", began)
    assert server.watch.told == [("failed", 1, 0)]


def test_q33_a_server_that_breaks_calls_is_not_well_because_it_can_be_connected():
    server = Server()
    for _ in range(3):
        server.breaker.connected()
        server.call(fails=True)
    assert server.is_left_alone()
    assert server.watch.told == [("answered",), ("failed", 1, 0), ("failed", 2, 0), ("failed", 3, 100)]


def test_q33_after_the_pause_one_call_is_the_trial_and_closes_it_for_all():
    server = Server()
    server.fail_until_open()
    server.passes(100)
    with server.breaker.calling():
        with pytest.raises(McpUnreachable), server.breaker.calling():
            pytest.fail("There were two trials.")
        server.breaker.answered()
        with server.breaker.calling():
            pass
    assert server.watch.told[-1] == ("answered",)


def test_q33_a_call_from_before_the_pause_does_not_end_the_trial():
    server = Server()
    with ExitStack() as trial:
        with server.breaker.calling():
            server.fail_until_open()
            server.passes(100)
            trial.enter_context(server.breaker.calling())
        with pytest.raises(McpUnreachable), server.breaker.calling():
            pytest.fail("There were two trials.")


def test_q33_where_only_connecting_failed_calls_do_not_wait_for_each_other():
    server = Server()
    for _ in range(3):
        server.breaker.not_connected("Nobody is there.")
    server.passes(100)
    with server.breaker.calling(), server.breaker.calling():
        pass


def test_q33_a_server_that_went_away_is_well_when_it_can_be_connected_again_though_calls_had_failed_before():
    server = Server()
    server.call(fails=True)
    server.breaker.not_connected("Nobody is there.")
    server.passes(10)
    server.breaker.connected()
    assert server.watch.told == [("failed", 1, 0), ("failed", 2, 10), ("answered",)]


def test_q33_a_call_that_fails_after_another_was_answered_counts_however_long_ago_it_began():
    server = Server()
    began = server.clock.now
    server.call(fails=True)
    server.call(fails=False)
    server.breaker.call_failed("It broke.", began)
    assert server.watch.told == [("failed", 1, 0), ("answered",), ("failed", 1, 0)]


def test_q33_a_trial_that_fails_opens_it_again():
    server = Server()
    server.fail_until_open()
    server.passes(100)
    server.call(fails=True)
    assert server.is_left_alone()
    assert server.watch.told[-1] == ("failed", 4, 100)


def test_q40_a_trial_that_is_cancelled_leaves_the_next_one_to_others():
    server = Server()
    server.fail_until_open()
    server.passes(100)
    with pytest.raises(KeyboardInterrupt), server.breaker.calling():
        raise KeyboardInterrupt
    server.call(fails=False)
    assert not server.is_left_alone()


def test_that_a_server_answers_is_told_once():
    server = Server()
    server.breaker.connected()
    for _ in range(3):
        server.call(fails=False)
    assert server.watch.told == [("answered",)]
