"""What a search did, as the value of a header: ``x-lutra-explain: 1`` asks for it, a header of that name answers."""

from __future__ import annotations

import json
from typing import Any, Final

BYTES_MAX: Final = 6_144
"""Clients refuse longer headers: some take 8 KB for all lines of a response together, or for one."""


def explanation_header(explanation: dict[str, Any]) -> bytes:
    """JSON in ASCII of at most so many bytes.

    Where all of it is longer, the trees of queries are left out, and then the last parts; ``left_out`` says which.
    """
    whole = _encoded(explanation)
    if len(whole) <= BYTES_MAX:
        return whole
    parts = [{name: value for name, value in part.items() if name != "query"} for part in explanation["parts"]]
    kept = len(parts)
    while True:
        left_out = {"queries": len(parts), "parts": len(parts) - kept}
        shorter = _encoded({**explanation, "parts": parts[:kept], "left_out": left_out})
        if len(shorter) <= BYTES_MAX or not kept:
            return shorter
        kept = kept * BYTES_MAX // len(shorter) if kept > 1 else 0


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")
