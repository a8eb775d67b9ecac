"""A vector segment opened for reading: what it says of itself, and its sections, each checked as it is read.

What a search reads of the nodes it reads through `lutra.kernels.blocks`, block by block; here are the sweeps, for
loading what stays in memory, for checking, and for builds.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.checksum import crc32c, crc32c_blocks
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.footer import Footer, Sections, footer_size, parse_footer
from lutra.vectors.layout import (
    CHECKSUM_BLOCK_BYTES,
    CHECKSUM_BYTES,
    NO_ROW,
    TAIL_BYTES,
    NodeLayout,
    Section,
    SectionName,
    SegmentKind,
)
from lutra.vectors.range_reader import Bytes, LocalFile, RangeReader

Matrix = NDArray[np.float32]
Rows = NDArray[np.uint32]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_SWEEP_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that fail their checksum: a block of a section, and where it begins in the object."""

    section: SectionName
    block: int
    """In blocks of the section: as `NodeLayout` has them for nodes, of 64 KB for codes and graph, else one."""
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
        """Where it lies; a local file's path."""
        return self._reader.name

    @property
    def size_bytes(self) -> int:
        return self._reader.size_bytes

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
    def code_bits(self) -> int:
        """Bits a dimension; 0: no codes."""
        return self._footer.code_bits

    @property
    def record_bytes(self) -> int:
        """Of one row's code; 0: no codes."""
        return self._footer.record_bytes

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

    @property
    def nodes(self) -> NodeLayout:
        """How nodes lie in their blocks: ``block_bytes`` (a multiple of 4096), ``nodes_per_block``, ``node_bytes``.

        Block i is bytes ``i * block_bytes`` and on of the object; the crc32c of all before it is its last 4 bytes.
        """
        return self._footer.nodes

    def node_block(self, row: int) -> tuple[int, int]:
        """``(block, offset)`` of a row's node: its vector as given, then its neighbours where there is a graph."""
        return self.nodes.place(row)

    def load_codes(self) -> Bytes:
        """uint8 [rows, record_bytes], of `lutra.kernels.codes.Quantizer`; [0, 0] in a segment without codes."""
        return self._load(SectionName.CODES).reshape(self.rows if self.record_bytes else 0, self.record_bytes)

    def load_graph(self) -> Rows:
        """uint32 [rows, degree], nearest first, then NO_ROW; [0, 0] in a segment without a graph."""
        neighbours: Rows = self._load(SectionName.GRAPH).view("<u4")
        for begin in range(0, len(neighbours), _SWEEP_BYTES):
            part = neighbours[begin : begin + _SWEEP_BYTES]
            if not ((part < self.rows) | (part == NO_ROW)).all():
                raise Corruption(f"{self.name}: section 'graph' has a neighbour that is no row of the segment.")
        return neighbours.reshape(self.rows if self.degree else 0, self.degree)

    def read_vectors(self, rows: NDArray[np.integer[Any]]) -> Matrix:
        """float32 [n, dimension]: the vectors of ``rows`` as they were given, read block by block past any cache.

        :raises ValueError: there is no such row.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.rows:
            raise ValueError(f"rows are 0 to {self.rows - 1}")
        vectors = np.empty((len(wanted), self.dimension), np.float32)
        order = np.argsort(wanted, kind="stable")
        blocks, places = np.divmod(wanted[order], self.nodes.nodes_per_block)
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        for begin, end in itertools.pairwise([*starts.tolist(), len(order)]):
            nodes = self._read_nodes(int(blocks[begin]), 1)
            vectors[order[begin:end]] = nodes[places[begin:end], : self.dimension]
        return vectors

    def vector_blocks(self) -> Iterator[Matrix]:
        """All vectors in order, float32 [n, dimension] at a time, a few MB each: what a merge reads."""
        left = self.rows
        for first, count in self._sweeps(SectionName.NODES):
            nodes = self._read_nodes(first, count)
            yield np.ascontiguousarray(nodes[:left, : self.dimension])
            left -= len(nodes)

    def verify(self, progress: Progress | None = None) -> list[Fault]:
        """Reads the whole segment and checks every checksum; the faults found, in the order they lie in.

        Where the section of checksums is faulty itself, codes and graph cannot be checked: it alone is named.

        :raises StorageFailure: it cannot be read.
        """
        faults: list[Fault] = []
        done, total = 0, self._footer.offset
        try:
            self._checksums()
            names = [SectionName.NODES, SectionName.CODES, SectionName.GRAPH]
        except Corruption:
            section = self.sections[SectionName.CHECKSUMS]
            faults.append(Fault(SectionName.CHECKSUMS, 0, section.offset, section.stored_bytes))
            names = [SectionName.NODES]
        for name in names:
            for first, count in self._sweeps(name):
                data = self._read_blocks(name, first, count)
                faults += self._faults(name, first, data)
                done += len(data)
                if progress is not None:
                    progress(done, total)
        section = self.sections[SectionName.NAVIGATION]
        if crc32c(_read(self._reader, section).tobytes()) != self._footer.navigation_checksum:
            faults.append(Fault(SectionName.NAVIGATION, 0, section.offset, section.stored_bytes))
        if progress is not None:
            progress(total, total)
        return sorted(faults, key=lambda fault: fault.offset)

    def _block_bytes(self, name: SectionName) -> int:
        return self._footer.block_bytes if name is SectionName.NODES else CHECKSUM_BLOCK_BYTES

    def _sweeps(self, name: SectionName) -> Iterator[tuple[int, int]]:
        """First block and number of blocks, a few MB at a time, of a section."""
        block_bytes = self._block_bytes(name)
        blocks = -(-self.sections[name].stored_bytes // block_bytes)
        per_sweep = max(1, _SWEEP_BYTES // block_bytes)
        for first in range(0, blocks, per_sweep):
            yield first, min(per_sweep, blocks - first)

    def _read_blocks(self, name: SectionName, first: int, count: int) -> Bytes:
        """Blocks of a section as they lie, unchecked; the last may be shorter."""
        section, block_bytes = self.sections[name], self._block_bytes(name)
        size_bytes = min(count * block_bytes, section.stored_bytes - first * block_bytes)
        return self._reader.read(section.offset + first * block_bytes, size_bytes)

    def _faults(self, name: SectionName, first: int, data: Bytes) -> list[Fault]:
        """Which of the blocks from ``first`` on in ``data`` fail their checksum."""
        block_bytes = self._block_bytes(name)
        if name is SectionName.NODES:
            written = data.reshape(-1, block_bytes)[:, -CHECKSUM_BYTES:].copy().view("<u4")[:, 0]
            found = crc32c_blocks(data, block_bytes, block_bytes - CHECKSUM_BYTES)
        else:
            found = crc32c_blocks(data, block_bytes)
            written = self._checksums()[name][first : first + len(found)]
        offset = self.sections[name].offset
        return [
            Fault(name, first + i, offset + (first + i) * block_bytes, min(block_bytes, len(data) - i * block_bytes))
            for i in np.flatnonzero(found != written).tolist()
        ]

    def _require_intact(self, name: SectionName, first: int, data: Bytes) -> None:
        faults = self._faults(name, first, data)
        if faults:
            raise Corruption(f"{self.name}: {faults[0]}")

    def _read_nodes(self, first: int, count: int) -> Matrix:
        """float32 [nodes, dimension + degree] of whole blocks, checked; rows past the last are zeros."""
        data = self._read_blocks(SectionName.NODES, first, count)
        self._require_intact(SectionName.NODES, first, data)
        layout = self.nodes
        nodes = data.reshape(count, layout.block_bytes)[:, : layout.nodes_per_block * layout.node_bytes]
        return np.ascontiguousarray(nodes).view("<f4").reshape(-1, layout.dimension + layout.degree)

    def _load(self, name: SectionName) -> Bytes:
        """A section of codes or graph in one read, checked."""
        section = self.sections[name]
        data = _read(self._reader, section)
        self._require_intact(name, 0, data)
        return data[: section.size_bytes]

    def _checksums(self) -> dict[SectionName, Rows]:
        """Those of each block of codes and graph."""
        section = self.sections[SectionName.CHECKSUMS]
        data = _read(self._reader, section)
        _require(self.name, SectionName.CHECKSUMS, section, data, self._footer.checksums_checksum)
        checksums = data[: section.size_bytes].view("<u4")
        codes = -(-self.sections[SectionName.CODES].stored_bytes // CHECKSUM_BLOCK_BYTES)
        return {SectionName.CODES: checksums[:codes], SectionName.GRAPH: checksums[codes:]}


def _read(reader: RangeReader, section: Section) -> Bytes:
    """A whole section with the zeros that fill its last page."""
    return reader.read(section.offset, section.stored_bytes)


def _require(name: str, section_name: SectionName, section: Section, data: Bytes, checksum: int) -> None:
    if crc32c(data.tobytes()) != checksum:
        raise Corruption(f"{name}: {Fault(section_name, 0, section.offset, section.stored_bytes)}")


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
    section = footer.sections[SectionName.NAVIGATION]
    if section.offset >= begin:
        data = tail[section.offset - begin : section.end - begin]
    else:
        data = _read(reader, section)
    _require(reader.name, SectionName.NAVIGATION, section, data, footer.navigation_checksum)
    words = data[: section.size_bytes].copy()
    if footer.kind is SegmentKind.FLAT:
        return np.empty(0, np.float32), np.empty(0, np.uint32)
    centroid: Matrix = words[: 4 * footer.dimension].view("<f4")
    entries: Rows = words[4 * footer.dimension :].view("<u4")
    if (entries >= footer.rows).any() or not np.isfinite(centroid).all():
        raise Corruption(f"{reader.name}: section 'navigation' makes no sense: a place to start that is no row.")
    return centroid, entries
