"""A vector segment opened for reading: what it says of itself, and its sections, each checked as it is read.

What a search reads of the nodes it reads through `lutra.kernels.blocks`, block by block; here are the sweeps, for
loading what stays in memory, for checking, and for builds.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.blocks import BlockCache, BlockKind, BlockSource
from lutra.kernels.checksum import crc32c, crc32c_blocks
from lutra.kernels.codes import Quantizer
from lutra.kernels.fast_codes import FastCodes
from lutra.kernels.lists import Lists
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.fast_format import FastBook, FastFormat
from lutra.vectors.footer import Footer, Sections, footer_size, parse_footer
from lutra.vectors.layout import (
    CHECKSUM_BYTES,
    NO_ROW,
    TAIL_BYTES,
    BlockLayout,
    Section,
    SectionName,
    SegmentKind,
)
from lutra.vectors.list_format import ListFormat, lists_of
from lutra.vectors.range_reader import Bytes, LocalFile, RangeReader, huge_pages

Matrix = NDArray[np.float32]
Rows = NDArray[np.uint32]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that fail their checksum: a block of a section, and where it begins in the object."""

    section: SectionName
    block: int
    """Of the blocks `SegmentFile.layout` gives the section; navigation is one."""
    offset: int
    size_bytes: int

    def __str__(self) -> str:
        end = self.offset + self.size_bytes
        return f"section '{self.section}', block {self.block} (bytes {self.offset} to {end}) fails its checksum."


class SegmentFile:
    """One immutable vector segment. Thread-safe; a context manager.

    ``open`` takes one read of the object's last 64 KB, and one more where the footer or the navigation before it does
    not fit in them. Every method that reads raises StorageFailure where that fails and Corruption, naming section and
    block, where bytes are not those that were written.
    """

    def __init__(self, reader: RangeReader, footer: Footer, centroid: Matrix, entries: Rows) -> None:
        """For `open`."""
        self._reader = reader
        self._footer = footer
        self.centroid = centroid
        """float32 [dimension], of vectors as they are encoded; [0] in a segment without codes."""
        self.entries = entries
        """uint32 [e]: where walks start; [0] in a segment without a graph."""

    @classmethod
    def open(cls, source: str | os.PathLike[str] | RangeReader) -> SegmentFile:
        """Opens a local file, or what ``source`` reads; the segment then owns it."""
        reader = LocalFile(source) if isinstance(source, str | os.PathLike) else source
        try:
            footer, begin, tail = _read_tail(reader)
            centroid, entries = _read_navigation(reader, footer, begin, tail)
        except BaseException:
            reader.close()
            raise
        return cls(reader, footer, centroid, entries)

    def ahead(self, names: Iterable[SectionName]) -> None:
        """Has these sections read at once where they lie far away, so that loading them asks for nothing."""
        sections = (self.sections[name] for name in names if name in self.sections)
        self._reader.ahead([(section.offset, section.stored_bytes) for section in sections])

    @classmethod
    def check(cls, reader: RangeReader, progress: Progress | None = None) -> list[Fault]:
        """As `verify`, of a segment that need not be one that can be opened: it raises Corruption for its footer only.

        ``reader`` stays the caller's.
        """
        footer, _, _ = _read_tail(reader)
        return cls(reader, footer, np.empty(0, np.float32), np.empty(0, np.uint32)).verify(progress)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> SegmentFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Of the object it lies in; a local file's path."""
        return self._reader.name

    @property
    def size_bytes(self) -> int:
        return self._reader.size_bytes

    @property
    def is_remote(self) -> bool:
        """Whether each read of it waits for a store that is far away."""
        return self._reader.is_remote

    @property
    def kind(self) -> SegmentKind:
        return self._footer.kind

    @property
    def rows(self) -> int:
        return self._footer.rows

    @property
    def dimension(self) -> int:
        return self._footer.dimension

    @property
    def metric(self) -> Metric:
        return self._footer.metric

    @property
    def seed(self) -> int:
        """Of the codes' rotation, and of the build."""
        return self._footer.seed

    @property
    def codes(self) -> CodeFormat | None:
        """How codes are made; None: there are none."""
        return self._footer.codes

    @property
    def fine(self) -> CodeFormat | None:
        """How the longer ones beside them are made; None: there are none."""
        return self._footer.fine

    @property
    def directions(self) -> int:
        """Of the codes' basis; 0: there is none."""
        return self._footer.directions

    @property
    def centres(self) -> int:
        """Of the codes, where they have several; 0: they have not."""
        return self._footer.centres

    @property
    def exact(self) -> int:
        """Rows that are kept exact beside the codes."""
        return self._footer.exact

    @property
    def lists(self) -> ListFormat | None:
        """How the lists that rows are in are kept; None: rows are in no order but that they were given in."""
        return self._footer.lists

    @property
    def fast(self) -> FastFormat | None:
        """None: there are no fast codes."""
        return self._footer.fast

    @property
    def degree(self) -> int:
        """Places for neighbours a row; 0: no graph."""
        return self._footer.degree

    @property
    def build(self) -> Mapping[str, Any]:
        """How it was built, for people."""
        return self._footer.build

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What the build's ``calibrate`` returned; empty where there was none."""
        return self._footer.calibration

    @property
    def sections(self) -> Sections:
        """Place and size of each section, in the order they lie in."""
        return self._footer.sections

    def layout(self, name: SectionName) -> BlockLayout:
        """How the items of a section lie in its blocks. Raises KeyError for one that has none."""
        return self._footer.layout(name)

    def open_nodes(self, cache: BlockCache) -> BlockSource:
        """Section NODES by blocks, through ``cache``; the caller closes it. Raises StorageFailure."""
        section, layout = self.sections[SectionName.NODES], self.layout(SectionName.NODES)
        return self._reader.open_blocks(
            cache, section.offset, section.stored_bytes, block_bytes=layout.block_bytes, kind=BlockKind.VECTORS
        )

    def read_code_blocks(self, runs: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Of each ``(first block, number of blocks)`` of section CODES the records, uint8 [n, record_bytes], zeros
        after the last; from a store far away all at once.
        """
        section, layout = self.sections[SectionName.CODES], self.layout(SectionName.CODES)
        size = layout.block_bytes
        found = self._reader.read_many([(section.offset + first * size, count * size) for first, count in runs])
        return [
            self._checked(SectionName.CODES, first, data.reshape(count, size))
            for (first, count), data in zip(runs, found, strict=True)
        ]

    def node_block(self, row: int) -> tuple[int, int]:
        """``(block of section NODES, offset in it)`` of a row's node: its vector as given, then its neighbours."""
        return self._footer.layout(SectionName.NODES).place(row)

    def load_codes(self, sweepers: Executor | None = None) -> Bytes:
        """uint8 [rows, record_bytes], of `lutra.kernels.codes.Quantizer`; [0, 0] in a segment without codes.

        ``sweepers``: threads that read it, several sweeps at a time; None: the one that asks.
        """
        return self._load(SectionName.CODES, sweepers)

    def load_fine(self, sweepers: Executor | None = None) -> Bytes:
        """uint8 [rows, record_bytes] of the longer codes; [0, 0] where there are none."""
        return self._load(SectionName.FINE, sweepers)

    def load_basis(self) -> NDArray[np.int16]:
        """int16 [directions, dimension] of the codes' basis; [0, 0] where they have none."""
        return self._load(SectionName.BASIS).view("<i2")

    def load_centres(self) -> Matrix:
        """float32 [centres, dimension] of the codes; [0, 0] where they have one, which is the centroid."""
        return self._load(SectionName.CENTRES).view("<f4")

    def load_lists(self, quantizer: Quantizer) -> Lists | None:
        """The lists that the rows are in, with the quantizer of the codes; None where they are in none."""
        if self.lists is None:
            return None
        items = self._load(SectionName.LISTS)
        try:
            return lists_of(items, self.rows, self.lists.step, quantizer)
        except ValueError as error:
            raise Corruption(f"{self.name}: section 'lists' makes no sense: {error}.") from error

    def load_fast(self, lists: Lists, sweepers: Executor | None = None) -> tuple[FastCodes, Bytes] | None:
        """The fast codes of the rows in ``lists``, and what made them; None where there are none."""
        if self.fast is None:
            return None
        book = FastBook.of_items(self._load(SectionName.FAST_BOOK))
        try:
            codes = book.codes(lists, self.fast)
        except ValueError as error:
            raise Corruption(f"{self.name}: section 'fast_book' makes no sense: {error}.") from error
        return codes, self._load(SectionName.FAST, sweepers)

    def load_exact(self) -> tuple[Rows, Matrix]:
        """uint32 [e], ascending, the rows that codes do not describe, and their vectors float32 [e, dimension]."""
        if SectionName.EXACT not in self.sections:
            return np.empty(0, np.uint32), np.empty((0, self.dimension), np.float32)
        items = self._load(SectionName.EXACT)
        rows = np.ascontiguousarray(items[:, :4]).view("<u4")[:, 0]
        vectors = np.ascontiguousarray(items[:, 4:]).view("<f4")
        if (np.diff(rows.astype(np.int64)) <= 0).any() or rows[-1] >= self.rows or not np.isfinite(vectors).all():
            raise Corruption(f"{self.name}: section 'exact' makes no sense: rows that are none, or no vectors.")
        return rows, vectors

    def code_blocks(self) -> Iterator[Bytes]:
        """All codes in order, uint8 [n, record_bytes] at a time, a few MB each: for who keeps less than all of them."""
        left = self.rows
        for first, count in self._sweeps(SectionName.CODES):
            records = self._read_items(SectionName.CODES, first, count)[:left]
            yield np.ascontiguousarray(records)
            left -= len(records)

    def load_graph(self, sweepers: Executor | None = None) -> Rows:
        """uint32 [rows, degree], nearest first, then NO_ROW; [0, 0] in a segment without a graph."""
        return self._load(SectionName.GRAPH, sweepers, self._require_rows).view("<u4")

    def _require_rows(self, lists: Bytes) -> None:
        neighbours = lists.view("<u4")
        if not ((neighbours < self.rows) | (neighbours == NO_ROW)).all():
            raise Corruption(f"{self.name}: section 'graph' has a neighbour that is no row of the segment.")

    def read_vectors(self, rows: NDArray[np.integer[Any]]) -> Matrix:
        """float32 [n, dimension]: the vectors of ``rows`` as they were given, read block by block past any cache.

        :raises ValueError: there is no such row.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.rows:
            raise ValueError(f"rows are 0 to {self.rows - 1}")
        vectors = np.empty((len(wanted), self.dimension), np.float32)
        order = np.argsort(wanted, kind="stable")
        blocks, places = np.divmod(wanted[order], self.layout(SectionName.NODES).items_per_block)
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        for begin, end in itertools.pairwise([*starts.tolist(), len(order)]):
            nodes = self._read_items(SectionName.NODES, int(blocks[begin]), 1)
            vectors[order[begin:end]] = self._vectors_of(nodes)[places[begin:end]]
        return vectors

    def vector_blocks(self) -> Iterator[Matrix]:
        """All vectors in order, float32 [n, dimension] at a time, a few MB each: what a merge reads."""
        left = self.rows
        for first, count in self._sweeps(SectionName.NODES):
            nodes = self._read_items(SectionName.NODES, first, count)[:left]
            yield np.ascontiguousarray(self._vectors_of(nodes))
            left -= len(nodes)

    def verify(self, progress: Progress | None = None) -> list[Fault]:
        """Reads the whole segment and checks every checksum; the faults found, in the order they lie in.

        :raises StorageFailure: it cannot be read.
        """
        faults: list[Fault] = []
        done, total = 0, self._footer.offset
        for name, section in self.sections.items():
            if name is SectionName.NAVIGATION:
                data = self._reader.read(section.offset, section.stored_bytes)
                faults += _navigation_faults(section, data, self._footer)
                continue
            for first, count in self._sweeps(name):
                data = self._read_blocks(name, first, count)
                faults += self._faults(name, first, data)
                done += len(data)
                if progress is not None:
                    progress(done, total)
        if progress is not None:
            progress(total, total)
        return faults

    def _sweeps(self, name: SectionName) -> Iterator[tuple[int, int]]:
        """First block and number of blocks, as many at a time as are best asked for, of a section."""
        layout = self.layout(name)
        blocks = layout.blocks(self._footer.items(name))
        per_sweep = max(1, self._reader.sweep_bytes // layout.block_bytes)
        for first in range(0, blocks, per_sweep):
            yield first, min(per_sweep, blocks - first)

    def _read_blocks(self, name: SectionName, first: int, count: int) -> Bytes:
        """uint8 [count, block_bytes]: blocks of a section as they lie, unchecked."""
        block_bytes = self.layout(name).block_bytes
        data = self._reader.read(self.sections[name].offset + first * block_bytes, count * block_bytes)
        return data.reshape(count, block_bytes)

    def _faults(self, name: SectionName, first: int, blocks: Bytes) -> list[Fault]:
        """Which of ``blocks``, those from ``first`` on, fail their checksum."""
        size_bytes = self.layout(name).block_bytes
        found = crc32c_blocks(blocks.reshape(-1), size_bytes, size_bytes - CHECKSUM_BYTES)
        wrong = np.flatnonzero(found != np.ascontiguousarray(blocks[:, -CHECKSUM_BYTES:]).view("<u4")[:, 0])
        offset = self.sections[name].offset
        return [Fault(name, i, offset + i * size_bytes, size_bytes) for i in (first + wrong).tolist()]

    def _read_items(self, name: SectionName, first: int, count: int) -> Bytes:
        """uint8 [items, item_bytes] of whole blocks, checked; zeros after the section's last item."""
        return self._checked(name, first, self._read_blocks(name, first, count))

    def _checked(self, name: SectionName, first: int, blocks: Bytes) -> Bytes:
        """The same of ``blocks``, those from ``first`` on."""
        layout = self.layout(name)
        for fault in self._faults(name, first, blocks):
            raise Corruption(f"{self.name}: {fault}")
        items = blocks[:, : layout.items_per_block * layout.item_bytes]
        return items.reshape(-1, layout.item_bytes)

    def _vectors_of(self, nodes: Bytes) -> Matrix:
        """float32 [n, dimension] of uint8 [n, item_bytes]."""
        vectors: Matrix = nodes.view("<f4")[:, : self.dimension]
        return vectors

    def _load(
        self,
        name: SectionName,
        sweepers: Executor | None = None,
        check: Callable[[Bytes], None] = lambda items: None,
    ) -> Bytes:
        """uint8 [rows, item_bytes]: a whole section in memory of its own and no more; [0, 0] where there is none.

        ``check`` is given its items as they come, and raises where they make no sense.
        """
        if name not in self.sections:
            return np.empty((0, 0), np.uint8)
        layout = self.layout(name)
        total = self._footer.items(name)
        loaded = huge_pages(total * layout.item_bytes).reshape(total, layout.item_bytes)

        def sweep(first: int, count: int) -> None:
            part = loaded[first * layout.items_per_block :][: count * layout.items_per_block]
            part[:] = self._read_items(name, first, count)[: len(part)]
            check(part)

        if sweepers is None:
            for first, count in self._sweeps(name):
                sweep(first, count)
        else:
            _finish([sweepers.submit(sweep, first, count) for first, count in self._sweeps(name)])
        return loaded


def _finish(sweeps: list[Future[None]]) -> None:
    """Waits until none of ``sweeps`` is under way. Raises what the first of them raised."""
    wait(sweeps, return_when=FIRST_EXCEPTION)
    for one in sweeps:
        one.cancel()
    wait(sweeps)
    for one in sweeps:
        if not one.cancelled():
            one.result()


def _navigation_faults(section: Section, data: Bytes, footer: Footer) -> list[Fault]:
    if crc32c(data.tobytes()) == footer.navigation_checksum:
        return []
    return [Fault(SectionName.NAVIGATION, 0, section.offset, section.stored_bytes)]


def _read_tail(reader: RangeReader) -> tuple[Footer, int, Bytes]:
    """The footer, and the end of the object from a byte on, which holds it and the navigation before it."""
    size_bytes = reader.size_bytes
    begin = max(0, size_bytes - TAIL_BYTES)
    tail = reader.read(begin, size_bytes - begin)
    footer_bytes = footer_size(tail.tobytes(), reader.name)
    if footer_bytes > size_bytes:
        raise Corruption(f"{reader.name}: {size_bytes} bytes are no whole vector segment.")
    if footer_bytes > len(tail):
        begin = max(0, size_bytes - footer_bytes - TAIL_BYTES)
        tail = reader.read(begin, size_bytes - begin)
    return parse_footer(tail[-footer_bytes:].tobytes(), size_bytes, reader.name), begin, tail


def _read_navigation(reader: RangeReader, footer: Footer, begin: int, tail: Bytes) -> tuple[Matrix, Rows]:
    """Centroid and entry points, from ``tail`` (the object from ``begin`` on) where it holds them."""
    if footer.kind is SegmentKind.FLAT:
        return np.empty(0, np.float32), np.empty(0, np.uint32)
    section = footer.sections[SectionName.NAVIGATION]
    if section.offset >= begin:
        data = tail[section.offset - begin : section.end - begin]
    else:
        data = reader.read(section.offset, section.stored_bytes)
    for fault in _navigation_faults(section, data, footer):
        raise Corruption(f"{reader.name}: {fault}")
    words = data[: section.size_bytes].copy()
    centroid: Matrix = words[: 4 * footer.dimension].view("<f4")
    entries: Rows = words[4 * footer.dimension :].view("<u4")
    if (entries >= footer.rows).any() or not np.isfinite(centroid).all():
        raise Corruption(f"{reader.name}: section 'navigation' makes no sense: a place to start that is no row.")
    return centroid, entries
