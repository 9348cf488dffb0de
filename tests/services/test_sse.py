"""Frames as bytes, and the ids that clients send back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import Chunk
from services.sse import PING, frame, parse_last_event_id
from services.wire_v1 import encode


def test_a_frame_is_an_id_a_line_of_json_and_an_empty_line():
    assert frame(12, 3, encode(Chunk("Hi"))) == b'id: 12-3\ndata: {"type":"chunk","content":"Hi","done":false}\n\n'


def test_a_ping_is_a_comment():
    assert PING == b": ping\n\n"


@given(st.text())
def test_q28_any_text_stays_one_line_whoever_splits_it(text):
    sent = frame(1, 1, encode(Chunk(text)))
    number, data, end = sent.decode().splitlines()  # which splits at every line break that Unicode knows
    assert [line.decode() for line in sent.splitlines()] == [number, data, end] == ["id: 1-1", data, ""]
    assert json.loads(data.removeprefix("data: ")) == encode(Chunk(text))


def test_q27_no_read_can_split_a_character():
    assert frame(1, 1, {"content": "Größe 😀\u2028\u2029\x85"}).isascii()


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_a_client_resumes_with_the_id_of_the_frame_that_it_saw(run_id, seq):
    line = frame(run_id, seq, {}).decode().splitlines()[0]
    assert parse_last_event_id(line.removeprefix("id:")) == (run_id, seq)


@pytest.mark.parametrize(
    "text", ["", "12", "12-", "-3", "12-3-4", "12--3", "a-b", "0-1", "1.5-2", "١٢-٣", "2147483648-1", "1-2147483648",
             "9" * 5000 + "-1", "12-3\nid: 1-1", "null"],
)
def test_an_id_that_no_frame_has_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as '12-3'"):
        parse_last_event_id(text)
