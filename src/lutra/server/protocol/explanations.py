"""What a search did, as the value of a header: ``x-lutra-explain: 1`` asks for it, a header of that name answers."""

from __future__ import annotations

import json
from typing import Any, Final

BYTES_MAX: Final = 6_144
"""Clients refuse longer headers: some take 8 KB for all lines of a response together, or for one."""


def explanation_header(explanation: dict[str, Any]) -> bytes:
    """JSON in ASCII of at most so many bytes.

    Where all of it is longer, the trees of queries are left out, then the last parts, and then the last shards;
    ``left_out`` says how many.
    """
    whole = _encoded(explanation)
    if len(whole) <= BYTES_MAX:
        return whole
    parts = [{name: value for name, value in part.items() if name != "query"} for part in explanation["parts"]]
    shards = explanation.get("shards", [])
    kept, kept_shards = len(parts), len(shards)
    while True:
        told = {**explanation, "parts": parts[:kept]}
        told["left_out"] = {"queries": len(parts), "parts": len(parts) - kept}
        if shards:
            told["shards"] = shards[:kept_shards]
            told["left_out"]["shards"] = len(shards) - kept_shards
        shorter = _encoded(told)
        if len(shorter) <= BYTES_MAX or not (kept or kept_shards):
            return shorter
        if kept:
            kept = _fewer(kept, len(shorter))
        else:
            kept_shards = _fewer(kept_shards, len(shorter))


def _fewer(kept: int, size_bytes: int) -> int:
    return kept * BYTES_MAX // size_bytes if kept > 1 else 0


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")
