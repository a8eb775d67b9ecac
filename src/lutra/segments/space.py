"""What a part of an index holds of a nested field, as a part of its own: a search runs in it as in any other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import Children, Fields, nested
from lutra.fields.kinds import kind_of
from lutra.kernels.row_mask import RowMask
from lutra.model.arrays import Docs, Mask
from lutra.scalars.strings_part import StringSequence, StringsPart
from lutra.segments.part import Part, Timestamps


class SpacePart:
    """The documents that those of ``enclosing`` hold of one nested field. A `Part`, for searches: a key is that of the
    row that a document belongs to, so several have the same. Thread-safe.

    Raises StorageFailure, Corruption where what is asked of it has to be read first.
    """

    def __init__(self, enclosing: Part, path: str) -> None:
        """``path``: in full, of a nested field of the space that ``enclosing`` is of."""
        self.enclosing = enclosing
        self.path = path
        self.children: Children = nested(enclosing, path).children

    @property
    def name(self) -> str:
        return self.enclosing.name

    @property
    def size(self) -> int:
        return self.children.size

    @property
    def size_bytes(self) -> int:
        """Of all that lies in the same object."""
        return self.enclosing.size_bytes

    @property
    def fields(self) -> Fields:
        return self.children.fields

    @property
    def in_key_order(self) -> bool:
        return self.enclosing.in_key_order

    @property
    def is_far(self) -> bool:
        return self.enclosing.is_far

    @cached_property
    def live(self) -> RowMask:
        """Of living parents. The same mask for the same mask of these, as long as nobody asks for another."""
        return self.children.living(self.enclosing.live)

    @property
    def rows(self) -> int:
        """How many documents live; of this space, not rows of the table."""
        return self.live.count

    @property
    def kept(self) -> None:
        """Nothing: it is a part of one search."""

    @cached_property
    def keys(self) -> StringsPart:
        """Encoded primary keys of the rows that the documents belong to."""
        return _KeysOfParents(self.enclosing.keys, self.children.parents())

    def newest_ms(self) -> Timestamps:
        """int64[size]: of the row that each belongs to."""
        return self.enclosing.newest_ms()[self.children.parents()]

    def oldest_ms(self) -> Timestamps:
        """int64[size]: of the row that each belongs to."""
        return self.enclosing.oldest_ms()[self.children.parents()]


def spaces_down_to(part: Part, path: str) -> list[SpacePart]:
    """The spaces from ``part`` down to that of the nested field at ``path``, the outermost first.

    Each encloses the next. There is such a field in the space of ``part``, or below it: the schema was asked before.
    """
    spaces: list[SpacePart] = []
    for prefix in _prefixes(path):
        inner: Part = spaces[-1] if spaces else part
        field = inner.fields.get(prefix)
        if field is not None and kind_of(field.field).is_nested:
            spaces.append(SpacePart(inner, prefix))
    return spaces


def lifted(part: Part, docs: npt.NDArray[np.int64], to: Part | None = None) -> npt.NDArray[np.int64]:
    """The documents of ``to`` that ``docs`` of ``part``, which is below it, belong to; None: the rows they do."""
    while part is not to and isinstance(part, SpacePart):
        docs, part = part.children.parents()[docs].astype(np.int64), part.enclosing
    return docs


def _prefixes(path: str) -> Iterator[str]:
    """``a``, ``a.b``, ``a.b.c`` of ``a.b.c``."""
    names = path.split(".")
    return (".".join(names[: n + 1]) for n in range(len(names)))


class _KeysOfParents:
    """A `StringsPart`: to each child the key of its parent."""

    def __init__(self, keys: StringsPart, parents: Docs) -> None:
        self._keys = keys
        self._parents = parents
        self.ranked = keys.ranked
        self.exact = keys.exact
        self.size = len(parents)

    @property
    def strings(self) -> StringSequence:
        return self

    def __getitem__(self, index: int, /) -> bytes:
        return self._keys.strings[int(self._parents[index])]

    @cached_property
    def words(self) -> tuple[npt.NDArray[Any], ...]:
        """By child."""
        return tuple(word[self._parents] for word in self._keys.words)

    def compare(self, value: bytes) -> tuple[Mask, Mask]:
        """As `StringsPart` says."""
        greater, equal = self._keys.compare(value)
        return greater[self._parents], equal[self._parents]

    def tie_ranks(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """As `StringsPart` says."""
        return self._keys.tie_ranks(self._parents[ids])

    def taken(self, ids: npt.NDArray[Any]) -> list[bytes]:
        """As `StringsPart` says."""
        return self._keys.taken(self._parents[ids])
