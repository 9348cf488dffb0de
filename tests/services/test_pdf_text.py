"""What text a model gets of a PDF file, and that none keeps anybody else waiting."""

import asyncio
import io
import zlib
from types import SimpleNamespace

import pypdf
import pytest
from reportlab.pdfgen.canvas import Canvas

from services import pdf_program, pdf_text
from services.file_text import Problem, Unread, Unreadable, read_text


@pytest.fixture(autouse=True)
def forget():
    pdf_text.forget()


def pdf(*pages: str) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for page in pages:
        canvas.drawString(50, 800, page)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def drawn(content: bytes) -> bytes:
    """A PDF whose only page is drawn by `content`."""
    packed = zlib.compress(content, 1)
    stream = b"<</Length %d/Filter/FlateDecode>>\nstream\n" % len(packed) + packed + b"\nendstream"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</Font<<>>>>/Contents 4 0 R>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream]
    body, places = b"%PDF-1.7\n", b"xref\n0 5\n0000000000 65535 f \n"
    for number, text in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj\n" % number + text + b"\nendobj\n"
    return body + places + b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(body)


def text_of(content: bytes) -> str:
    asyncio.run(pdf_text.read(content))
    return read_text(content)


def problem(content: bytes) -> Problem:
    with pytest.raises(Unreadable) as error:
        text_of(content)
    return error.value.problem


def told_here(content: bytes) -> tuple[str, int]:
    """What the program says, with what the test has changed of it."""
    pieces: list[str] = []
    code = pdf_program.read(content, pieces.append)
    return "".join(pieces), code


def test_the_pages_of_a_pdf_are_read_in_their_order():
    assert text_of(pdf("Invoice 7", "Total 12.50")) == "Invoice 7\n\nTotal 12.50"


def test_nobody_reads_a_pdf_while_others_wait():
    with pytest.raises(Unread):
        read_text(pdf("Invoice 7"))


@pytest.mark.parametrize(("content", "expected"), [
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
    monkeypatch.setattr(pdf_program, "time", SimpleNamespace(monotonic=lambda: next(seconds, 100.0)))
    text, code = told_here(pdf(*(f"Page {number}" for number in range(50))))
    assert text.startswith("Page 0")
    assert "Page 49" not in text
    assert code == pdf_program.TOO_LONG


def test_a_page_that_is_a_trap_is_passed_over(monkeypatch):
    monkeypatch.setattr(pdf_program, "PAGE_MAX_BYTES", 200)
    assert told_here(pdf("Before", "x" * 1_000, "After")) == ("Before\n\nAfter", pdf_program.DONE)


def test_a_pdf_that_keeps_its_reader_busy_is_given_up(monkeypatch):
    monkeypatch.setattr(pdf_text, "SECONDS", 1.0)
    assert problem(drawn(b"q " * (2 * 1024 * 1024 - 10))) is Problem.TOO_LARGE  # some 15 s of parsing in one step


def test_a_pdf_that_unfolds_to_very_much_takes_no_memory_of_ours():
    assert problem(drawn(b"0 " * (40 * 1024 * 1024))) is Problem.DAMAGED


def test_the_reader_of_a_pdf_knows_none_of_our_secrets(monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import os, sys; sys.stdin.read(); print(*os.environ)")
    monkeypatch.setattr(pdf_text, "_PROGRAM", str(program))
    monkeypatch.setenv("PGPASSWORD", "sesame")
    assert "PGPASSWORD" not in asyncio.run(pdf_text.read(b"%PDF-")).text
