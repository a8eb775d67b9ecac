"""Where documents stand on the levels of a sort: as values that mean the same in every part of an index."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

Mark = int | float | bool | str | bytes | None
"""Where a document stands on one level, as a token carries it; None where it lacks the field."""

_TURNED: Final = bytes(range(255, -1, -1))
_END: Final = "\u0100"


def has_surrogate(text: str) -> bool:
    """Whether ``text`` has half of a pair, which no UTF-8 stands for."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def mark_to_json(mark: Mark) -> Any:
    """What JSON holds for ``mark``."""
    return {"bytes": base64.b64encode(mark).decode()} if isinstance(mark, bytes) else mark


def mark_from_json(mark: Any) -> Mark:
    """The inverse. Raises ValueError, TypeError, KeyError for what is no mark."""
    if isinstance(mark, dict):
        return base64.b64decode(mark["bytes"], validate=True)
    if mark is None or isinstance(mark, int | float | bool | str):
        return mark
    raise ValueError("mark")


class _Last:
    """Comes after everything else."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return other is not self


class _First:
    """Comes before everything else."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return other is not self

    def __gt__(self, other: object) -> bool:
        return False


_LAST: Final = _Last()
_FIRST: Final = _First()


def ranks(marks: Sequence[Mark], descending: bool, absent_first: bool = False) -> Sequence[Any]:
    """Values that compare as documents with these marks come; those of one level compare across parts."""
    absent = _FIRST if absent_first else _LAST
    if not descending:
        return [absent if mark is None else mark for mark in marks] if None in marks else marks
    return [absent if mark is None else _descending(mark) for mark in marks]


def _descending(mark: int | float | bool | str | bytes) -> Any:
    if isinstance(mark, str):
        mark = mark.encode()
    if isinstance(mark, bytes):  # the end is greater than any byte: of two strings, the one that goes on comes first
        return mark.translate(_TURNED).decode("latin-1") + _END
    return -mark
