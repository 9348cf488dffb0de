"""What text a model gets of a file that a person attached, and of which files it gets none."""

import io
from types import SimpleNamespace

import pypdf
import pytest
from reportlab.pdfgen.canvas import Canvas

from services import file_text
from services.file_text import MAX_BYTES, MAX_CHARS, Problem, Unreadable, read_text

BIG5 = "這是一份測試資料表，價格一百元，數量二十個。文件裡面有許多中文字，可以用來偵測它的編碼。"
CYRILLIC = "Привет, мир. Это проверка кодировки, в которой написан этот текст."


@pytest.fixture(autouse=True)
def forget():
    read_text.cache_clear()


def pdf(*pages: str) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for page in pages:
        canvas.drawString(50, 800, page)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


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
])  # fmt: skip
def test_a_text_is_read_in_whatever_it_is_encoded(content, text):
    assert read_text(content) == text


def test_the_pages_of_a_pdf_are_read_in_their_order():
    assert read_text(pdf("Invoice 7", "Total 12.50")) == "Invoice 7\n\nTotal 12.50"


def test_of_a_very_long_text_the_beginning_is_read():
    assert read_text(b"a" * (MAX_CHARS + 5)) == "a" * MAX_CHARS


@pytest.mark.parametrize(("content", "expected"), [
    (b"", Problem.EMPTY),
    (b" \n", Problem.EMPTY),
    (b"a" * (MAX_BYTES + 1), Problem.TOO_LARGE),
    (b"PK\x03\x04\x14\0\0\0document.xml", Problem.UNKNOWN),
    (b"\x89PNG\r\n\x1a\n\0\0", Problem.UNKNOWN),
    (b"ID3\x04", Problem.UNKNOWN),
    (bytes(range(1, 256)), Problem.UNKNOWN),
    (b"%PDF-1.7\nnothing of the sort", Problem.DAMAGED),
    (pdf(""), Problem.NO_TEXT),
])  # fmt: skip
def test_what_has_no_text_is_said_to_have_none_and_why(content, expected):
    assert problem(content) is expected


def test_a_pdf_behind_a_password_is_not_read():
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Secret")))
    writer.encrypt("sesame", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    assert problem(buffer.getvalue()) is Problem.ENCRYPTED


def test_a_pdf_that_takes_too_long_is_read_as_far_as_time_allows(monkeypatch):
    seconds = iter([0.0] * 50)  # and then very many at once
    monkeypatch.setattr(file_text, "time", SimpleNamespace(monotonic=lambda: next(seconds, 100.0)))
    text = read_text(pdf(*(f"Page {number}" for number in range(50))))
    assert text.startswith("Page 0")
    assert "Page 49" not in text


def test_a_pdf_whose_first_page_takes_too_long_is_too_large(monkeypatch):
    monkeypatch.setattr(file_text, "PDF_SECONDS", -1.0)
    assert problem(pdf("Page 0")) is Problem.TOO_LARGE


def test_a_page_that_is_a_trap_is_passed_over(monkeypatch):
    monkeypatch.setattr(file_text, "PDF_PAGE_MAX_BYTES", 200)
    assert read_text(pdf("Before", "x" * 1_000, "After")) == "Before\n\nAfter"
