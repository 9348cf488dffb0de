"""What files from tools are served as, and called."""

import pytest

from services.files import NAME_MAX_CHARS, recognise, safe_name, safe_type

PNG = b"\x89PNG\r\n\x1a\n\0\0"


@pytest.mark.parametrize(("content", "mime_type"), [
    (PNG, "image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg"),
    (b"GIF89a", "image/gif"),
    (b"RIFF\n\0\n\0WEBPVP8", "image/webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
    (b"ID3\x04", "audio/mpeg"),
    (b"\xff\xfb\x90", "audio/mpeg"),
    (b"OggS\0", "audio/ogg"),
    (b"fLaC\0", "audio/flac"),
    (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
    (b"\0\0\0\x20ftypisom", "video/mp4"),
    (b"%PDF-1.7", "application/pdf"),
    (b"<svg/>", ""),
    (b" \x89PNG\r\n\x1a\n", ""),
    (b"", ""),
])  # fmt: skip
def test_a_file_is_known_by_the_way_it_begins(content, mime_type):
    assert recognise(content) == mime_type


@pytest.mark.parametrize("claimed", ["image/svg+xml", "text/html", "text/javascript", "application/xhtml+xml", "", "x"])
def test_q37_text_that_a_browser_could_execute_is_served_as_plain_text(claimed):
    assert safe_type(b"<svg onload='alert(1)'/>", claimed) == "text/plain"


@pytest.mark.parametrize("claimed", ["image/svg+xml", "text/html", "image/png", "application/x-shockwave-flash"])
def test_q37_bytes_that_are_nothing_known_are_served_as_nothing_known(claimed):
    assert safe_type(b"\0\1\2", claimed) == "application/octet-stream"


def test_q37_bytes_count_more_than_what_is_claimed():
    assert safe_type(PNG, "text/html") == "image/png"
    assert safe_type(b"<html>", "image/png") == "text/plain"


@pytest.mark.parametrize("claimed", [
    "text/csv", "application/json", "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
])  # fmt: skip
def test_documents_without_a_mark_of_their_own_are_what_they_are_called(claimed):
    assert safe_type(b"a;b", claimed) == claimed


@pytest.mark.parametrize(("name", "mime_type", "safe"), [
    ("chart.png", "image/png", "chart.png"),
    ("Photo.JPEG", "image/jpeg", "Photo.JPEG"),
    ("screenshot", "image/png", "screenshot.png"),
    ("read_file", "text/plain", "read_file.txt"),
    ("notes.md", "text/plain", "notes.md"),
    ("invoice.exe", "application/pdf", "invoice.exe.pdf"),
    ("blob", "application/octet-stream", "blob"),
    ("../../etc/passwd", "text/plain", "passwd.txt"),
    ("C:\\Windows\\a.png", "image/png", "a.png"),
    ("a%20b%2Fc.pdf", "application/pdf", "c.pdf"),
    ("folder/", "text/plain", "folder.txt"),
    ("\u202egnp.exe", "application/octet-stream", "_gnp.exe"),
    ("a\r\nX-Evil: 1\0.png", "image/png", "a__X-Evil_ 1_.png"),
    ("", "image/png", "file.png"),
    ("..", "text/plain", "file.txt"),
    ("Übersicht 2026.csv", "text/csv", "Übersicht 2026.csv"),
])  # fmt: skip
def test_q37_a_name_is_safe_on_any_system_and_says_what_the_file_is(name, mime_type, safe):
    assert safe_name(name, mime_type) == safe


def test_a_name_is_not_endless():
    name = safe_name("a" * 5000 + ".png", "image/png")
    assert name.endswith(".png")
    assert len(name) == NAME_MAX_CHARS + 4
    assert len(safe_name("a." + "b" * 5000, "text/plain")) <= 2 * NAME_MAX_CHARS
