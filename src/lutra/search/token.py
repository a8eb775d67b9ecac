"""What a client hands back to get the next page.

A token holds the sort, where the last document of the page stands on each of its levels, how many neighbours a KNN
query had, and the seed of random scores. So the next page begins strictly after it whatever has changed meanwhile. It
is checked, not secret: a version byte, JSON, and a CRC-32 over both.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

from lutra.index.definitions.sorters import sorter_in, sorter_out
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Sorter
from lutra.search.mark import Mark, mark_from_json, mark_to_json

_VERSION: Final = b"\x02"
_CRC_BYTES: Final = 4
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode


def token_bytes(content: object) -> int:
    """What ``content``, fit for JSON, takes of a token."""
    return len(_to_json(content))


@dataclass(frozen=True, slots=True)
class Token:
    """``marks`` has one entry for each level of ``sort``, and the primary key's (bytes) at its end."""

    sort: tuple[Sorter, ...]
    marks: tuple[Mark, ...]
    top_k: int | None = None
    seed: int | None = None

    def encode(self) -> bytes:
        """The opaque bytes."""
        content = {
            "sort": [sorter_out(sorter) for sorter in self.sort],
            "marks": [mark_to_json(mark) for mark in self.marks],
            "top_k": self.top_k,
            "seed": self.seed,
        }
        return sealed(_VERSION, content)

    @classmethod
    def decode(cls, data: bytes) -> Token:
        """Raises ParameterInvalid for what `encode` did not make."""
        content = unsealed(_VERSION, data)
        try:
            top_k = content["top_k"]
            if top_k is not None and not (type(top_k) is int and 1 <= top_k <= limits.OFFSET_PLUS_LIMIT_MAX):
                raise ValueError("top_k")
            seed = content.get("seed")
            if seed is not None and not (type(seed) is int and 0 <= seed < 1 << 64):
                raise ValueError("seed")
            sort = tuple(sorter_in(sorter) for sorter in content["sort"])
            return cls(sort, tuple(mark_from_json(mark) for mark in content["marks"]), top_k, seed)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise ParameterInvalid("[token] is invalid") from None


def sealed(version: bytes, content: Any) -> bytes:
    """A token that says ``content``, which JSON can hold."""
    body = version + _to_json(content).encode()
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "big")


def unsealed(version: bytes, data: bytes) -> Any:
    """What a token says. Raises ParameterInvalid where it is none of that version."""
    body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if body[:1] != version or zlib.crc32(body).to_bytes(_CRC_BYTES, "big") != crc:
        raise ParameterInvalid("[token] is invalid")
    try:
        return json.loads(body[1:])
    except (ValueError, RecursionError):
        raise ParameterInvalid("[token] is invalid") from None
