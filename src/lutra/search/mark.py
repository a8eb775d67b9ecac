"""Where documents stand on the levels of a sort: as values that mean the same in every part of an index."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from lutra.fields.kinds import kind_of
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import IndexSchema
from lutra.model.queries import PrimaryKeySort, ScoreSort, Sorter, SortMode

Mark = int | float | bool | str | bytes | None
"""Where a document stands on one level, as a token carries it; None where it lacks the field."""

_TURNED: Final = bytes(range(255, -1, -1))
_END: Final = "\u0100"


def settled(sort: Sequence[Sorter]) -> tuple[Sorter, ...]:
    """``sort`` up to its primary key, which settles all ties and is added where it is not there."""
    for place, sorter in enumerate(sort):
        if isinstance(sorter, PrimaryKeySort):
            return tuple(sort[: place + 1])
    return (*sort, PrimaryKeySort())


def check_marks(schema: IndexSchema, sort: Sequence[Sorter], marks: Sequence[Mark]) -> None:
    """Raises ParameterInvalid where ``marks``, from a token, are not such as the settled ``sort`` gives."""
    if len(marks) != len(sort) or not all(map(_fits, [schema] * len(sort), sort, marks)):
        raise ParameterInvalid("[token] is invalid")


def _fits(schema: IndexSchema, sorter: Sorter, mark: Mark) -> bool:
    if isinstance(sorter, PrimaryKeySort):
        return isinstance(mark, bytes)
    if isinstance(sorter, ScoreSort):
        return isinstance(mark, float)
    field = schema.field(sorter.field)
    assert field is not None
    if mark is None:
        return True
    if sorter.mode is SortMode.AVG and field.is_array:
        return isinstance(mark, float)
    return type(mark) is kind_of(field).sort_type and not (isinstance(mark, str) and _has_surrogate(mark))


def _has_surrogate(text: str) -> bool:
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


_LAST: Final = _Last()


def ranks(marks: Sequence[Mark], descending: bool) -> Sequence[Any]:
    """Values that compare as documents with these marks come; those of one level compare across parts."""
    if not descending:
        return [_LAST if mark is None else mark for mark in marks] if None in marks else marks
    return [_descending(mark) for mark in marks]


def _descending(mark: Mark) -> Any:
    if mark is None:
        return _LAST
    if isinstance(mark, str):
        mark = mark.encode()
    if isinstance(mark, bytes):  # the end is greater than any byte: of two strings, the one that goes on comes first
        return mark.translate(_TURNED).decode("latin-1") + _END
    return -mark
