"""A segment of a search index, opened for searching: the documents it holds, with the face of a part."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from copy import copy
from types import TracebackType
from typing import Final

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from lutra.fields.capabilities import StoredField
from lutra.fields.kinds import kind_of
from lutra.fields.sections import Section, SectionKind
from lutra.fields.space_fields import all_parts, by_path, open_fields
from lutra.fields.stored_vectors import SegmentVectors
from lutra.kernels.blocks import BlockCache, BlockSource
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption
from lutra.model.indexes import IndexSchema
from lutra.objects.store import ObjectStore
from lutra.scalars.pages import PageReader, pages_of
from lutra.scalars.segment_keys import SegmentKeys
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.segments.deletions import live_of
from lutra.segments.fault import Fault
from lutra.segments.footer import SegmentMeta
from lutra.segments.kept_masks import KeptMasks
from lutra.segments.segment_object import SegmentObject
from lutra.segments.times import NEVER_MS, NO_TIMES, UNKNOWN_MS, Times
from lutra.segments.verification import verify_object
from lutra.vectors.calibration import Checked
from lutra.vectors.layout import SegmentKind
from lutra.vectors.range_reader import PartReader
from lutra.vectors.segment_file import Progress

_OLDEST_SINCE: Final = 2
"""Format version of the footer that knows of oldest timestamps."""

Grant = Callable[[int], int]
"""Asked for so many bytes of memory, gives so many."""


class IndexSegment:
    """Documents 0 to ``size`` - 1 in the order of their keys, unchanging. A `Part`. Thread-safe; a context manager.

    Keys and columns are read as they are asked for, through the cache; of vector fields codes and graph are in memory
    as far as the budget goes. Whatever is read raises StorageFailure where that fails, and Corruption, naming section
    and block, where bytes are not those that were written. Nothing may be asked of it once it is closed.
    """

    def __init__(
        self, obj: SegmentObject, meta: SegmentMeta, schema: IndexSchema, live: RowMask, closing: contextlib.ExitStack
    ) -> None:
        """For `open`."""
        self.meta = meta
        self.schema = schema
        self.live = live
        """bool[size], read-only: what the deletions it was opened with leave."""
        self.kept = KeptMasks()
        """What filters matched lately, dead documents included."""
        self._object = obj
        self._closing = closing
        self.newest: Times
        """The newest timestamp of each document."""
        self.oldest: Times
        """The oldest timestamp of each document of which it is another; of all where they are not known."""
        self.keys: SegmentKeys
        self.fields: Mapping[str, StoredField]

    @classmethod
    def open(
        cls,
        store: ObjectStore,
        name: str,
        schema: IndexSchema,
        *,
        cache: BlockCache,
        memory_budget_bytes: int | None = None,
        grant: Grant | None = None,
        deletions: BitMap | None = None,
        owner: str = "",
        size_bytes: int | None = None,
        sweepers: Executor | None = None,
        may_come: bool = False,
    ) -> IndexSegment:
        """Opens object ``name``: one read of its end, and for each vector field whose documents it has and what of
        codes and graph is to be in memory, in sweeps of some MB; where there are several vector fields, one more each.

        :param schema: the index's; fields it does not have are not opened.
        :param cache: through which everything is read, shared with other segments.
        :param memory_budget_bytes: for codes and graphs (`lutra.vectors.segment.Segment.open`), shared out between
            vector fields by what they would need; None: whatever they need.
        :param grant: in place of ``memory_budget_bytes``: is told what they would need, once, and says what they get.
        :param deletions: documents that are dead from the start.
        :param owner: whose counters in the cache its reads go to.
        :param size_bytes: of the object, where it is known: spares a remote store a request.
        :param sweepers: threads that read codes and graphs, several sweeps at a time; None: the one that asks, one
            after the other, so that others get at the disk between.
        :param may_come: codes may come as searches need them (`lutra.vectors.segment.Segment.open`), until `resize`.
        :raises ObjectMissing: there is no such object.
        :raises Corruption: it is damaged, or not of this schema, or the deletions are of another segment.
        :raises StorageFailure: it cannot be read, or a newer Lutra wrote it.
        """
        with contextlib.ExitStack() as closing:
            obj = SegmentObject(store, name, cache, owner=owner, size_bytes=size_bytes)
            closing.callback(obj.close)
            meta = obj.read_meta()
            try:
                live = live_of(meta.size, deletions)
            except ValueError as error:
                raise Corruption(f"{name}: its deletions are those of another segment: {error}.") from error
            segment = cls(obj, meta, schema, live, closing)
            try:
                segment._open_times()
                segment._open_keys()
                if may_come and obj.is_remote:
                    segment._read_ahead_of_opening()
                if grant is not None:
                    granted_bytes = grant(meta.resident_bytes)
                    memory_budget_bytes = None if granted_bytes >= meta.resident_bytes else granted_bytes
                segment._open_fields(_Sections(segment, cache, sweepers, may_come), memory_budget_bytes)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise Corruption(f"{name}: the footer of this index segment makes no sense: {error!r}.") from error
            obj.forget()
            segment._closing = closing.pop_all()
            return segment

    def without(self, dead: BitMap | None) -> IndexSegment:
        """The same segment, of which all documents live but these: it is closed with this one.

        Raises Corruption where one of them is no document of it.
        """
        other = copy(self)
        try:
            other.live = live_of(self.meta.size, dead)
        except ValueError as error:
            raise Corruption(f"{self.name}: its deletions are those of another segment: {error}.") from error
        return other

    def _open_times(self) -> None:
        meta, section = self.meta, self._section(SectionKind.NEWEST)
        numbers = StoredNumbers.of(section.meta["numbers"])
        self.newest = Times(numbers.count, meta.newest_ms[0] if meta.size else NEVER_MS, self._stream(section), numbers)
        found = meta.section(SectionKind.OLDEST)
        if meta.version < _OLDEST_SINCE:
            self.oldest = Times(meta.size, UNKNOWN_MS)
        elif found is None:
            self.oldest = NO_TIMES
        else:
            places, stored = (
                None if found.meta[name] is None else StoredNumbers.of(found.meta[name]) for name in ("docs", "numbers")
            )
            count, least_ms = int(found.meta["count"]), int(found.meta["least"])
            self.oldest = Times(count, least_ms, self._stream(found), stored, places)

    def _open_keys(self) -> None:
        section = self._section(SectionKind.KEYS)
        self.keys = SegmentKeys(self._stream(section), section.meta)

    def _read_ahead_of_opening(self) -> None:
        """In one round what opening reads next, and what finds the keys of hits, beside what lies at the end."""
        keys = self._section(SectionKind.KEYS)
        begin, size_bytes = pages_of(*self.keys.strings.index_place)
        documents = (s for s in self.meta.sections if s.kind is SectionKind.DOCUMENTS)
        places = [(section.offset, section.size_bytes) for section in documents]
        self._object.ahead([(keys.offset + begin, size_bytes), *places])
        with contextlib.suppress(Corruption):  # who needs a key is told
            self.keys.strings.load_index()

    def _open_fields(self, sections: _Sections, budget_bytes: int | None) -> None:
        self.fields = by_path(kind_of, open_fields(kind_of, sections, self.schema.fields, budget_bytes))

    def _section(self, kind: SectionKind, field: str = "", space: int = 0) -> Section:
        section = self.meta.section(kind, field, space)
        if section is None:
            of = f" of {field}" if field else ""
            raise Corruption(f"{self.name}: has no section '{kind}{of}': it is not of this index's schema.")
        return section

    def close(self) -> None:
        """Gives memory and blocks back; safe to call again."""
        self._closing.close()

    def __enter__(self) -> IndexSegment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _vectors(self) -> list[SegmentVectors]:
        return [field for field in all_parts(kind_of, self.fields) if isinstance(field, SegmentVectors)]

    @property
    def searches(self) -> int:
        """How often vectors of it were searched."""
        return sum(field.searches for field in self._vectors)

    def read_ahead(self, bytes_max: int) -> None:
        """Has vectors of no more than ``bytes_max`` a field read into the cache: for a segment whose rows were searched
        elsewhere until now. Returns at once."""
        for field in self._vectors:
            field.read_ahead(bytes_max)

    @property
    def is_coming(self) -> bool:
        """Whether codes of a field are read as searches need them."""
        return any(field.is_coming for field in self._vectors)

    @property
    def wanted_bytes(self) -> int:
        """That all codes and graphs of it would take."""
        return sum(field.wanted_bytes for field in self._vectors)

    @property
    def least_bytes(self) -> int:
        """As `lutra.vectors.residency.least_bytes` says, of all vector fields."""
        return sum(field.least_bytes for field in self._vectors)

    def resize(self, budget_bytes: int) -> bool:
        """Keeps what of codes and graphs fits so much memory, shared out by what fields would need; whether that is
        other than before. One thread at a time; searches under way end with what they began with.

        Raises StorageFailure, Corruption; of several fields some may have changed then.
        """
        fields = self._vectors
        wanted = sum(field.wanted_bytes for field in fields)
        is_all = budget_bytes >= wanted
        changed = [
            field.resize(None if is_all else budget_bytes * field.wanted_bytes // max(1, wanted)) for field in fields
        ]
        return any(changed)

    @property
    def checked(self) -> dict[str, Checked]:
        """By vector field: what builds found of searches with what of codes and graph is in memory."""
        return {field.field.name: field.segment.checked for field in self._vectors}

    @property
    def name(self) -> str:
        """Of the object."""
        return self._object.name

    @property
    def size(self) -> int:
        return self.meta.size

    @property
    def size_bytes(self) -> int:
        """Of the object."""
        return self.meta.size_bytes

    @property
    def rows(self) -> int:
        """That ``live`` leaves."""
        return self.live.count

    @property
    def in_key_order(self) -> bool:
        return True

    @property
    def is_far(self) -> bool:
        return self._object.is_remote

    @property
    def kinds(self) -> Mapping[str, SegmentKind]:
        """By vector field."""
        return {vectors.field: vectors.kind for vectors in self.meta.vectors}

    @property
    def resident_bytes(self) -> int:
        """In memory beside the cache: of vector fields, and of keys and columns as far as they were used."""
        used = self.keys.state_bytes + sum(field.resident_bytes for field in self.fields.values())
        return self.live.rows // 8 + self.kept.size_bytes + used

    @property
    def graph_bytes(self) -> int:
        """Of these: of graphs."""
        return sum(field.segment.graph_bytes for field in self._vectors)

    def newest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document: the newest timestamp of its row's cells. Read anew each time."""
        return self.newest.read(0, self.newest.count)[1]

    def oldest_ms(self) -> npt.NDArray[np.int64]:
        """int64[size], by document, as `lutra.segments.part.Part` says. Read anew each time."""
        oldest_ms = self.newest_ms().copy()
        docs, times = self.oldest.read(0, self.oldest.count)
        oldest_ms[docs] = times
        return oldest_ms

    def verify(self, progress: Progress | None = None) -> list[Fault]:
        """Reads the whole object past the cache and checks every checksum; the faults found, in the order they lie in.

        Raises StorageFailure where it cannot be read.
        """
        return verify_object(self._object, progress)

    def _stream(self, section: Section) -> PageReader:
        source, blocks = self._object.stream(section)
        self._closing.callback(blocks.close)
        return source


class _Sections:
    """A `SectionsIn`: the sections of one space of a segment that is being opened."""

    def __init__(
        self, segment: IndexSegment, cache: BlockCache, sweepers: Executor | None, may_come: bool, space: int = 0
    ) -> None:
        self.name = segment.name
        self.size = segment.meta.spaces[space].size
        self.cache = cache
        self.sweepers = sweepers
        self.may_come = may_come
        self._segment = segment
        self._space = space

    def section(self, kind: SectionKind, field: str = "") -> Section:
        return self._segment._section(kind, field, self._space)

    def space(self, path: str) -> _Sections:
        for number, space in enumerate(self._segment.meta.spaces):
            if (space.path, space.parent) == (path, self._space):
                return _Sections(self._segment, self.cache, self.sweepers, self.may_come, number)
        raise Corruption(f"{self.name}: has no documents of {path}: it is not of this index's schema.")

    def stream(self, section: Section) -> PageReader:
        return self._segment._stream(section)

    def blocks(self, section: Section) -> BlockSource:
        _, blocks = self._segment._object.stream(section)
        self.closing(blocks.close)
        return blocks

    @contextlib.contextmanager
    def read_once(self, section: Section) -> Iterator[PageReader]:
        source, blocks = self._segment._object.stream(section)
        with contextlib.closing(blocks):
            yield source

    def part(self, section: Section) -> PartReader:
        return self._segment._object.part(section)

    def closing(self, close: Callable[[], object]) -> None:
        self._segment._closing.callback(close)
