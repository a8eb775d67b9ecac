"""Segments whose writer was wrong: other bytes in a section or the footer, and every checksum right again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.kernels.checksum import crc32c
from lutra.scalars.pages import PAYLOAD_BYTES, PageWriter
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.segments.footer import FORMAT_VERSION, TRAILER_BYTES
from lutra.vectors.layout import PAGE_BYTES

Numbers = npt.NDArray[np.int64]


def with_footer(whole: bytes, change: tuple[bytes, bytes] = (b"", b""), version: int = FORMAT_VERSION) -> bytes:
    """Another footer, whose checksum is right; of a ``version`` before 3 as those were, without document spaces."""
    footer_bytes = int.from_bytes(whole[-TRAILER_BYTES : 4 - TRAILER_BYTES], "little")
    text = whole[-footer_bytes:-TRAILER_BYTES].replace(*change, 1) if change[0] else whole[-footer_bytes:-TRAILER_BYTES]
    if version < 3:
        document = json.loads(text)
        ((_, document["size"], _),) = document.pop("spaces")
        document["sections"] = [section[:5] for section in document["sections"]]
        text = json.dumps(document, separators=(",", ":")).encode()
    text = text.rstrip().ljust(footer_bytes - TRAILER_BYTES)
    head = text + footer_bytes.to_bytes(4, "little") + version.to_bytes(4, "little")
    return whole[:-footer_bytes] + head + crc32c(head).to_bytes(4, "little") + whole[-8:]


class OpenedStream:
    """The stream of one section of pages, to be changed."""

    def __init__(self, whole: bytes, name: str) -> None:
        """``whole``: all bytes of a segment. ``name``: as ``column of n``."""
        footer_bytes = int.from_bytes(whole[-TRAILER_BYTES : 4 - TRAILER_BYTES], "little")
        sections = json.loads(whole[-footer_bytes:-TRAILER_BYTES])["sections"]
        (found,) = [one for one in sections if f"{one[0]} of {one[1]}".removesuffix(" of ") == name]
        self._whole = whole
        self._begin, self._end = found[2], found[2] + found[3]
        self.meta: Any = found[4]
        """What the footer says of it."""
        pages = np.frombuffer(whole[self._begin : self._end], np.uint8).reshape(-1, PAGE_BYTES)
        self.data = bytearray(pages[:, :PAYLOAD_BYTES].tobytes())

    def numbers(self, meta: list[Any]) -> Numbers:
        """The numbers stored where ``meta`` says, as they are stored: less their base."""
        stored = StoredNumbers.of(meta)
        return np.frombuffer(self.data, stored.stored, stored.count, stored.offset).copy()

    def renumber(self, meta: list[Any], change: Callable[[Numbers], object]) -> None:
        """``change`` gets them to change in their place."""
        numbers = self.numbers(meta)
        change(numbers)
        self.data[meta[0] : meta[0] + numbers.nbytes] = numbers.tobytes()

    def whole(self) -> bytes:
        """The segment with this section as it is now."""
        pages: list[bytes] = []
        writer = PageWriter(lambda some: pages.append(some.tobytes()))
        writer.write(bytes(self.data))
        writer.finish()
        return self._whole[: self._begin] + b"".join(pages) + self._whole[self._end :]
