"""A PDF of a few pages with plain text, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence


def pdf_of(pages: Sequence[str], titles: Sequence[str] = ()) -> bytes:
    """A PDF with one page for each of ``pages``, in Latin letters, line by line; ``titles`` are its outline's entries,
    one a page from the first.
    """
    objects: dict[int, bytes] = {}
    first_page, first_entry = 10, 10 + 2 * len(pages)
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    outline = " /Outlines 4 0 R" if titles else ""
    objects[1] = f"<< /Type /Catalog /Pages 2 0 R{outline} >>".encode()
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    for number, page in enumerate(pages):
        lines = " ".join(f"({_escaped(line)}) Tj 0 -14 Td" for line in page.split("\n"))
        content = f"BT /F1 12 Tf 72 720 Td {lines} ET".encode("cp1252")
        at = first_page + 2 * number
        objects[at] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {at + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[at + 1] = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)
    if titles:
        last = first_entry + len(titles) - 1
        objects[4] = f"<< /Type /Outlines /First {first_entry} 0 R /Last {last} 0 R /Count {len(titles)} >>".encode()
    for number, title in enumerate(titles):
        at = first_entry + number
        following = f" /Next {at + 1} 0 R" if number + 1 < len(titles) else ""
        destination = f"[{first_page + 2 * number} 0 R /Fit]"
        objects[at] = f"<< /Title ({_escaped(title)}) /Parent 4 0 R /Dest {destination}{following} >>".encode()
    return _file(objects)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: dict[int, bytes]) -> bytes:
    body = bytearray(b"%PDF-1.4\n")
    places = {}
    for number, content in objects.items():
        places[number] = len(body)
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    size = max(objects) + 1
    at = len(body)
    body += b"xref\n0 %d\n" % size
    for number in range(size):
        body += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    body += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, at)
    return bytes(body)
