"""The leaves of a JSON object as strings: what a FLATTENED field holds.

A leaf is its path, a NUL and its text: ``address.city\\0Berlin``. So the leaves of one path lie together where strings
are sorted, in the order of their texts. Each leaf is there once more without a path, for who asks for it anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lutra.model.limits import FLATTENED_DEPTH_MAX, FLATTENED_LEAVES_MAX, FLATTENED_PATH_BYTES_MAX
from lutra.model.values import Value
from lutra.scalars.operands import is_keyword

SEPARATOR: Final = "\0"
AFTER: Final = "\x01"
"""A path and this come after all leaves of that path."""


class _Number(str):
    """A number as it was written."""


def leaves_of(value: Value, is_array: bool) -> tuple[list[str], int] | None:
    """The leaves of a value, each once with its path and once without, and how many were left out.

    That are leaves whose text or path is too long or no Unicode, that lie too deep, or come after as many as there may
    be. A null is no leaf. None where ``value`` is no JSON object or, where it ``is_array``, no array of objects.
    """
    if type(value) is not str:
        return None
    try:
        # NaN and the infinities are not JSON; numbers keep the digits they have.
        tree = json.loads(value, parse_int=_Number, parse_float=_Number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    objects = tree if is_array else [tree]
    if type(objects) is not list or not all(type(one) is dict or (is_array and one is None) for one in objects):
        return None
    found: dict[str, None] = {}
    kept = left_out = 0
    for path, text in _walk(objects):
        if kept == FLATTENED_LEAVES_MAX or path is None or text is None:
            left_out += 1
            continue
        kept += 1
        found[f"{path}{SEPARATOR}{text}"] = None
        found[f"{SEPARATOR}{text}"] = None
    return list(found), left_out


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _walk(objects: list[dict[str, Any] | None]) -> Iterator[tuple[str | None, str | None]]:
    """Path and text of each leaf, in order; None where the field does not hold one of them."""
    pending: list[tuple[str, int, Any]] = [("", 0, one) for one in reversed(objects)]
    while pending:
        path, depth, node = pending.pop()
        if type(node) is dict:
            below = f"{path}." if depth else ""
            pending += [(below + key, depth + 1, node[key]) for key in reversed(node)]
        elif type(node) is list:
            pending += [(path, depth, element) for element in reversed(node)]
        elif node is not None:
            is_held = depth <= FLATTENED_DEPTH_MAX and SEPARATOR not in path and AFTER not in path
            is_held = is_held and is_keyword(path, FLATTENED_PATH_BYTES_MAX)
            text = node if isinstance(node, str) else "true" if node else "false"
            yield path if is_held else None, str(text) if is_keyword(text) else None
