"""Conditions on the values of one field, which its column answers: what their kinds share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lutra.fields.kind import FieldKind
from lutra.kernels.row_mask import RowMask
from lutra.kernels.selection import Selection
from lutra.model.errors import ParameterInvalid
from lutra.search.nodes.node import Condition, Node, PartSearch
from lutra.segments.part import Part

Fits = Callable[[FieldKind], bool]
"""Whether a query goes with a kind of field."""

COMPARED: Final[Fits] = lambda kind: kind.is_filterable or kind.is_searchable  # noqa: E731
ORDERED: Final[Fits] = lambda kind: kind.is_ordered  # noqa: E731
WITH_STRINGS: Final[Fits] = lambda kind: kind.has_strings  # noqa: E731

_SHOWN_CHARS: Final = 64
_SHOWN_VALUES: Final = 8


@dataclass(frozen=True, slots=True)
class ColumnCondition(Condition):
    """A condition on ``field``."""

    is_lasting = True

    field: str

    def node(self, part: PartSearch) -> Node:
        return ColumnNode(part, self)

    @abstractmethod
    def select(self, part: Part) -> Selection:
        """The documents of which it holds. Raises StorageFailure, Corruption."""


class ColumnNode(Node):
    __slots__ = ("_condition", "_selection")

    def __init__(self, search: PartSearch, condition: ColumnCondition) -> None:
        super().__init__(search)
        self._condition = condition
        self._selection: Selection | None = None

    def _selected(self) -> Selection:
        if self._selection is None:
            self._selection = self._condition.select(self.part)
        return self._selection

    def estimate(self) -> int:
        return self._selected().estimate

    def _list(self) -> RowMask:
        return self._selected().mask()


def check_text(query: str, noun: str, text: str, bytes_max: int) -> None:
    """Raises ParameterInvalid where ``text`` is no UTF-8, or of more than ``bytes_max``."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise ParameterInvalid(f"[{query}] {noun} holds a lone surrogate") from None
    if size_bytes > bytes_max:
        raise ParameterInvalid(f"[{query}] {noun} has {size_bytes} bytes, more than {bytes_max}")


def nothing(part: Part) -> Selection:
    """Of a condition that no value meets."""
    return Selection.of(RowMask.none(part.size))


def shown(value: Any) -> Any:
    """A value for JSON, not too long."""
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_CHARS else f"{value[: _SHOWN_CHARS - 3]}..."
    return value if isinstance(value, bool | int) or value is None else float(value)


def shown_values(values: tuple[Any, ...]) -> list[Any]:
    """The first of them."""
    more = [] if len(values) <= _SHOWN_VALUES else [f"and {len(values) - _SHOWN_VALUES} more"]
    return [*map(shown, values[:_SHOWN_VALUES]), *more]
