"""What text a model gets of a file that a person attached, and of which files it gets none."""

import pytest

from services.file_text import DETECTION_BYTES, MAX_BYTES, MAX_CHARS, Problem, Unreadable, read_text

BIG5 = "這是一份測試資料表，價格一百元，數量二十個。文件裡面有許多中文字，可以用來偵測它的編碼。"
CYRILLIC = "Привет, мир. Это проверка кодировки, в которой написан этот текст."


def problem(content: bytes) -> Problem:
    with pytest.raises(Unreadable) as error:
        read_text(content)
    return error.value.problem


@pytest.mark.parametrize(("content", "text"), [
    (b"name;price\r\nDesk;120\r\n", "name;price\nDesk;120\n"),
    ('{"city": "Zürich"}'.encode(), '{"city": "Zürich"}'),
    ("Zürich".encode("utf-8-sig"), "Zürich"),
    ("Zürich".encode("utf-16"), "Zürich"),
    ("Zürich".encode("utf-32"), "Zürich"),
    ("Größe; naïve café".encode("cp1252"), "Größe; naïve café"),
    (BIG5.encode("big5"), BIG5),
    (CYRILLIC.encode("cp1251"), CYRILLIC),
    (b"<svg onload='alert(1)'/>", "<svg onload='alert(1)'/>"),
    (b"a" * DETECTION_BYTES + b"\0b", "a" * DETECTION_BYTES + "b"),
])  # fmt: skip
def test_a_text_is_read_in_whatever_it_is_encoded(content, text):
    assert read_text(content) == text


def test_of_a_very_long_text_the_beginning_is_read():
    assert read_text(b"a" * (MAX_CHARS + 5)) == "a" * MAX_CHARS


@pytest.mark.parametrize(("content", "expected"), [
    (b"", Problem.EMPTY),
    (b" \n", Problem.EMPTY),
    (b"a" * (MAX_BYTES + 1), Problem.TOO_LARGE),
    (b"PK\x03\x04\x14\0\0\0document.xml", Problem.UNKNOWN),
    (b"\x89PNG\r\n\x1a\n\0\0", Problem.UNKNOWN),
    (b"ID3\x04", Problem.UNKNOWN),
    (b"some words\0and others", Problem.UNKNOWN),
    (b"\x01\x02\x03 hardly a word", Problem.UNKNOWN),
    (bytes(range(1, 256)), Problem.UNKNOWN),
])  # fmt: skip
def test_what_has_no_text_is_said_to_have_none_and_why(content, expected):
    assert problem(content) is expected
