"""Writing a vector segment: centroid, graph, codes and nodes, into one object that is there whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.checksum import crc32c
from lutra.kernels.codes import Described, Quantizer, centroid_of
from lutra.kernels.fast_codes import BLOCK_ROWS, FastCodes
from lutra.kernels.graph import NO_ROW, Graph, build
from lutra.kernels.lists import BuiltLists, Lists
from lutra.kernels.lists import build as build_lists
from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_memory import sample_bytes
from lutra.vectors.build_plan import BuildPlan, choose_plan
from lutra.vectors.code_basis import choose_bases
from lutra.vectors.code_centres import choose_centres
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.doubtful import Doubtful, Measured
from lutra.vectors.fast_format import TRAINED_ROWS, FastBook, FastFormat, train
from lutra.vectors.footer import Footer, lay_out, section_sizes
from lutra.vectors.input_vectors import Matrix, input_vectors, let_go_of_pages
from lutra.vectors.layout import EXACT_MAX, SectionName, SegmentKind, block_layout, sweep_layout, whole_pages
from lutra.vectors.list_format import ROWS_PER_LIST, ListFormat, list_items
from lutra.vectors.range_reader import Bytes, LocalFile, PartReader, page_aligned
from lutra.vectors.section_writer import ObjectFile, SectionWriter
from lutra.vectors.segment_file import SegmentFile

UNFINISHED_SUFFIX: Final = ".unfinished"
"""Of a file that a build writes; one left by a build that was killed may be deleted."""
SAMPLE_BYTES: Final = 16 * 1024 * 1024
"""Of vectors whose mean is the centroid: 1,024 rows or more, which lengthens squared residuals by a thousandth."""
TOLD_ROWS: Final = 4_096
"""That tell of how many codes along a basis say next to nothing."""
BASIS_ROWS_MIN: Final = 4_096
"""And four times the dimension: of fewer rows too little is known of the directions they vary along. And only beside a
graph: finding a basis takes longer than all else a segment without one takes to build."""
FAST_ROWS_MIN: Final = 4_096
"""Of fewer all codes are looked at as soon."""
_SWEEP_BYTES: Final = 8 * 1024 * 1024
_ORDERED_ROWS: Final = 65_536


class BuildPhase(enum.StrEnum):
    """What a build is at; progress counts rows in each."""

    CHECK = "check"
    LISTS = "lists"
    GRAPH = "graph"
    WRITE = "write"


Progress = Callable[[BuildPhase, int, int], None]
"""Called with rows done and rows in all; what it raises ends the build."""
Calibrate = Callable[[SegmentFile, Doubtful], Measured]
"""Called with the segment all but finished."""
OnOrder = Callable[[NDArray[np.uint32]], object]
"""Called with the row of the vectors given that each of the segment's is, where the plan has lists."""


def write_segment(
    path: str | os.PathLike[str],
    vectors: Matrix | Iterable[Matrix],
    metric: Metric,
    *,
    dimension: int | None = None,
    plan: BuildPlan | None = None,
    threads: int = 0,
    seed: int = 0,
    start_graph: NDArray[np.uint32] | None = None,
    calibrate: Calibrate | None = None,
    on_progress: Progress | None = None,
    on_order: OnOrder | None = None,
) -> SegmentFile:
    """Builds a segment of ``vectors`` at ``path`` and opens it. The same arguments give the same bytes on any threads.

    Memory: up to 100 MB, and what `lutra.kernels.graph.build` states, some ``dimension + 250`` bytes a vector, where
    there is a graph. Disk: the segment, and once more the vectors where they come in blocks.

    :param vectors: float32 [n, d], which may be memory-mapped, or blocks of it in order. They are kept as given.
    :param dimension: needed where ``vectors`` may be no block at all.
    :param plan: what to build; None: what `choose_plan` says of so many rows.
    :param threads: at most so many; 0: as many as the process may use.
    :param start_graph: uint32 [m, degree], a graph over the first m rows to go on from; NO_ROW where unused.
    :param on_order: told in which order the rows are written, where the plan has lists: rows of the segment are then
        others than those of ``vectors``.
    :raises ParameterInvalid: a vector is not finite (its row is named) or of another dimension.
    :raises StorageFailure: ``path`` is there already; the disk is full or fails.

    A build that fails, for whatever reason, leaves nothing at ``path`` or beside it; one that is killed may leave a
    file whose name ends in `UNFINISHED_SUFFIX`.
    """
    target = Path(path)
    with unfinished(target) as file:
        write_segment_into(
            file,
            vectors,
            metric,
            dimension=dimension,
            plan=plan,
            threads=threads,
            seed=seed,
            start_graph=start_graph,
            calibrate=calibrate,
            on_progress=on_progress,
            on_order=on_order,
        )
        publish(file, target)
    return SegmentFile.open(target)


def write_segment_into(
    file: ObjectFile,
    vectors: Matrix | Iterable[Matrix],
    metric: Metric,
    *,
    offset: int = 0,
    dimension: int | None = None,
    plan: BuildPlan | None = None,
    threads: int = 0,
    seed: int = 0,
    start_graph: NDArray[np.uint32] | None = None,
    calibrate: Calibrate | None = None,
    on_progress: Progress | None = None,
    on_order: OnOrder | None = None,
) -> int:
    """As `write_segment`, at the end of an object that is being written: from its byte ``offset`` on, a whole page.

    Returns the segment's size in bytes, whole pages; the file ends after it, and is on stable storage so far.
    """
    with input_vectors(vectors, dimension, os.path.dirname(file.path) or ".") as matrix:
        chosen = choose_plan(*matrix.shape) if plan is None else plan
        builder = _Builder(matrix, metric, chosen, threads, seed, on_progress)
        part = file.part(offset)
        footer = builder.write(part, start_graph)
        if on_order is not None and builder.order is not None:
            on_order(builder.order)
        size_bytes = _write_footer(part, footer)
        part.finish(size_bytes)
        if calibrate is None:
            return size_bytes
        with contextlib.closing(LocalFile(file.path)) as whole:
            segment = SegmentFile.open(PartReader(whole, offset, size_bytes, file.name))
            measured = calibrate(segment, builder.doubtful)
        footer = dataclasses.replace(footer, calibration=dict(measured.calibration), exact=len(measured.exact))
        footer = dataclasses.replace(footer, sections=lay_out(section_sizes(footer)))
        if footer.exact:
            _write_exact(part, footer, measured.exact, builder.vectors_of(measured.exact))
        size_bytes = _write_footer(part, footer)
        part.finish(size_bytes)
        return size_bytes


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[ObjectFile]:
    """A new file beside ``target``, its name ending in `UNFINISHED_SUFFIX`; gone afterwards, unless `publish` named it.

    Raises StorageFailure where ``target`` is there already, or the file cannot be made.
    """
    if os.path.lexists(target):
        raise StorageFailure(f"{target}: is there already.")
    place = str(target.with_name(f".{target.name}.{secrets.token_hex(8)}{UNFINISHED_SUFFIX}"))
    with ObjectFile(place, str(target)) as file:
        try:
            yield file
        finally:
            with contextlib.suppress(OSError):
                os.unlink(place)


def publish(file: ObjectFile, target: Path) -> None:
    """Gives a finished file its name, for good. Raises StorageFailure."""
    if os.path.lexists(target):
        raise StorageFailure(f"{target}: is there already.")
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.rename(file.path, target)
            _sync_folder(folder, target)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageFailure(f"{target}: cannot be written: {error.strerror}.") from error


def _sync_folder(folder: int, target: Path) -> None:
    """Has the new name on stable storage, or takes it back."""
    try:
        os.fsync(folder)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _write_footer(file: ObjectFile, footer: Footer) -> int:
    """Writes the footer behind the sections; returns where it ends."""
    data = footer.to_bytes()
    file.write(footer.offset, _aligned(np.frombuffer(data, np.uint8)))
    return footer.offset + len(data)


def _write_exact(file: ObjectFile, footer: Footer, rows: NDArray[np.int64], vectors: Matrix) -> None:
    """Writes the section of the rows that are kept exact, where the footer before it stood."""
    section = SectionWriter(file, footer.sections[SectionName.EXACT].offset, footer.layout(SectionName.EXACT))
    numbers = np.ascontiguousarray(rows, "<u4").view(np.uint8).reshape(len(rows), 4)
    section.append(np.concatenate([numbers, np.ascontiguousarray(vectors, "<f4").view(np.uint8)], axis=1))
    section.finish()


def _aligned(data: Bytes) -> Bytes:
    """A copy in whole pages of memory, filled up with zeros."""
    copy = page_aligned(whole_pages(len(data)))
    copy[: len(data)] = data
    copy[len(data) :] = 0
    return copy


def _in_order(graph: Graph, order: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Neighbours and entries of a graph whose rows are put in an order, by their new numbers."""
    numbers = np.empty(len(order), np.uint32)
    numbers[order] = np.arange(len(order), dtype=np.uint32)
    neighbours = np.empty_like(graph.neighbours)
    for begin in range(0, len(order), _ORDERED_ROWS):
        rows = graph.neighbours[order[begin : begin + _ORDERED_ROWS]]
        neighbours[begin : begin + len(rows)] = numbers[np.where(rows == NO_ROW, 0, rows)]
        neighbours[begin : begin + len(rows)][rows == NO_ROW] = NO_ROW
    return neighbours, numbers[graph.entries]


class _Builder:
    """One build: graph first, while memory is free for it, then one sweep that writes nodes and codes."""

    def __init__(
        self, vectors: Matrix, metric: Metric, plan: BuildPlan, threads: int, seed: int, on_progress: Progress | None
    ) -> None:
        self._vectors = vectors
        self._rows, self._dimension = vectors.shape
        self._metric = metric
        self._plan = plan
        self._threads = threads
        self._seed = seed
        self._on_progress = on_progress
        self._codes: CodeFormat | None = None
        self._fine: CodeFormat | None = None
        self._codecs: dict[SectionName, Quantizer] = {}
        self._basis = np.empty((0, 0), np.int16)
        self._centres = np.empty((0, 0), np.float32)
        self._telling: NDArray[np.int16] | None = None
        self._neighbours: NDArray[np.uint32] | None = None
        self._entries = np.empty(0, np.uint32)
        self._centroid = np.empty(0, np.float32)
        self._described: list[NDArray[np.uint8]] = []
        self._lists: BuiltLists | None = None
        self._fast: tuple[FastFormat, FastBook, FastCodes] | None = None

    @property
    def order(self) -> NDArray[np.uint32] | None:
        """uint32 [rows]: which of the vectors each row has; None: its own."""
        return None if self._lists is None else self._lists.order

    def vectors_of(self, rows: NDArray[np.int64]) -> Matrix:
        """float32 [n, dimension] of rows of the segment."""
        return np.ascontiguousarray(self._vectors[rows if self.order is None else self.order[rows]])

    @property
    def doubtful(self) -> Doubtful:
        """Of what was written."""
        described = np.concatenate(self._described) if self._described else np.empty(0, np.uint8)
        return Doubtful(np.flatnonzero(described == Described.RAISED), np.flatnonzero(described == Described.HARDLY))

    def write(self, file: ObjectFile, start_graph: NDArray[np.uint32] | None) -> Footer:
        """Writes all sections; the footer that describes them is still to be written."""
        self._require_finite()
        if self._plan.kind is not SegmentKind.FLAT:
            self._centroid = self._mean()
            self._choose_codes()
        if self._plan.has_lists:
            self._build_lists()
        file.reserve(self._footer().offset)
        if self._plan.kind is SegmentKind.GRAPH:
            self._build_graph(start_graph)
        footer = self._footer()
        self._write_rows(file, footer)
        if SectionName.NAVIGATION in footer.sections:
            file.write(footer.sections[SectionName.NAVIGATION].offset, _aligned(self._navigation()))
        return footer

    def _report(self, phase: BuildPhase, done: int) -> None:
        let_go_of_pages(self._vectors)
        if self._on_progress is not None:
            self._on_progress(phase, done, self._rows)

    def _sweeps(self, order: NDArray[np.uint32] | None = None) -> Iterator[tuple[int, Matrix]]:
        """First row and rows, in this order, a few MB at a time."""
        step = max(1, _SWEEP_BYTES // (4 * self._dimension * BLOCK_ROWS)) * BLOCK_ROWS
        for begin in range(0, self._rows, step):
            rows = slice(begin, begin + step)
            yield begin, self._vectors[rows if order is None else order[rows]]

    def _require_finite(self) -> None:
        for begin, block in self._sweeps():
            row = _native.first_not_finite(block)
            if row >= 0:
                raise ParameterInvalid(f"Vector {begin + row} has an element that is not a finite float32.")
            self._report(BuildPhase.CHECK, begin + len(block))

    def _mean(self) -> Matrix:
        return centroid_of(self._sample(min(SAMPLE_BYTES, sample_bytes())), self._metric)

    def _sample(self, sample_bytes: int) -> Matrix:
        """Of rows, evenly spread."""
        rows_max = max(1, sample_bytes // (4 * self._dimension))
        sample = np.array(self._vectors[:: -(-self._rows // rows_max) or 1], order="C")
        let_go_of_pages(self._vectors)
        return sample

    def _choose_codes(self) -> None:
        plan = self._plan
        pays = plan.kind is SegmentKind.GRAPH and self._rows >= max(BASIS_ROWS_MIN, 4 * self._dimension)
        centres = None
        if plan.code_bytes is None:
            sample = self._sample(min(SAMPLE_BYTES, sample_bytes()))
            centres = choose_centres(sample, self._metric, self._centroid, plan.centres, self._seed, self._threads)
        if centres is not None:
            self._centres = centres
            self._codes = CodeFormat(self._dimension, plan.code_bits, centres=len(centres))
        elif plan.code_bytes == 0 or (plan.code_bytes is None and not pays) or self._rows < 2:
            self._codes = CodeFormat(self._dimension, plan.code_bits)
        else:
            chosen = choose_bases(
                self._sample(sample_bytes()),
                self._metric,
                self._centroid,
                plan.code_bytes,
                plan.fine_bytes,
                self._seed,
                self._threads,
            )
            self._codes = CodeFormat(self._dimension, 0, chosen.codes.parts, chosen.codes.spread)
            self._basis, self._telling = chosen.directions, chosen.telling
            if chosen.fine is not None:
                self._fine = CodeFormat(self._dimension, 0, chosen.fine.parts, chosen.fine.spread)
            if self._tells_too_few():
                self._codes, self._fine = CodeFormat(self._dimension, plan.code_bits), None
                self._basis, self._telling = np.empty((0, 0), np.int16), None
        for name, codes in ((SectionName.CODES, self._codes), (SectionName.FINE, self._fine)):
            if codes is not None:
                self._codecs[name] = self._quantizer(codes)

    def _quantizer(self, codes: CodeFormat) -> Quantizer:
        return codes.quantizer(self._metric, self._centroid, self._seed, self._basis, self._centres)

    def _tells_too_few(self) -> bool:
        """Whether codes along the basis say next to nothing of more rows than can be kept exact beside them."""
        assert self._codes is not None
        sample = self._sample(TOLD_ROWS * 4 * self._dimension)
        _, described = self._quantizer(self._codes).encode_described(sample, self._threads)
        hardly = np.count_nonzero(described == Described.HARDLY)
        return bool(hardly * self._rows > EXACT_MAX * len(sample))

    def _build_graph(self, start_graph: NDArray[np.uint32] | None) -> None:
        graph = build(
            self._vectors,
            self._metric,
            degree=self._plan.degree,
            beam=self._plan.beam,
            alpha=self._plan.alpha,
            threads=self._threads,
            seed=self._seed,
            start=start_graph,
            directions=None if self._metric is Metric.DOT_PRODUCT else self._telling,
            on_progress=lambda done, total: self._report(BuildPhase.GRAPH, done),
        )
        self._neighbours, self._entries = graph.neighbours, graph.entries
        if self.order is not None:
            self._neighbours, self._entries = _in_order(graph, self.order)

    def _build_lists(self) -> None:
        """Clusters are as codes see vectors; what is ordered by them is written in that order."""
        self._lists = build_lists(
            np.ascontiguousarray(self._vectors),
            self._codecs[SectionName.CODES],
            ROWS_PER_LIST,
            self._threads,
            lambda done, total: self._report(BuildPhase.LISTS, done),
        )
        self._train_fast(self._lists)

    def _train_fast(self, built: BuiltLists) -> None:
        """Not for inner products, which are no distances to add up."""
        if self._metric is Metric.DOT_PRODUCT or self._rows < FAST_ROWS_MIN:
            return
        lists = Lists(self._codecs[SectionName.CODES], *built[1:3], built.step, built.radii, built.spreads)
        rows = np.linspace(0, self._rows - 1, min(self._rows, TRAINED_ROWS)).astype(np.int64)
        trained = train(lists, self.vectors_of(rows), rows, self._seed)
        if trained is not None:
            form, book = trained
            self._fast = form, book, book.codes(lists, form)

    def _navigation(self) -> Bytes:
        return np.concatenate([self._centroid.astype("<f4").view(np.uint8), self._entries.astype("<u4").view(np.uint8)])

    def _footer(self) -> Footer:
        """What the segment is, as far as it is known: before the graph is built its entry points are missing."""
        plan, has_graph = self._plan, self._plan.kind is SegmentKind.GRAPH
        node_bytes = 4 * (self._dimension + plan.degree * has_graph)
        flat = plan.kind is SegmentKind.FLAT
        nodes = sweep_layout(node_bytes, self._rows) if flat else block_layout(node_bytes)
        footer = Footer(
            kind=plan.kind,
            rows=self._rows,
            dimension=self._dimension,
            metric=self._metric,
            seed=self._seed,
            codes=self._codes,
            fine=self._fine,
            degree=plan.degree * has_graph,
            entry_count=len(self._entries),
            block_bytes=nodes.block_bytes,
            sections={},
            navigation_checksum=0 if flat else crc32c(_aligned(self._navigation()).tobytes()),
            build={"beam": plan.beam, "alpha": plan.alpha} if has_graph else {},
            calibration={},
            lists=None if self._lists is None else ListFormat(len(self._lists.radii), self._lists.step),
            fast=None if self._fast is None else self._fast[0],
        )
        return dataclasses.replace(footer, sections=lay_out(section_sizes(footer)))

    def _write_rows(self, file: ObjectFile, footer: Footer) -> None:
        """Nodes, codes and graph, side by side in one sweep over the vectors."""
        writers: dict[SectionName, SectionWriter] = {
            name: SectionWriter(file, section.offset, footer.layout(name))
            for name, section in footer.sections.items()
            if name is not SectionName.NAVIGATION
        }
        if len(self._basis):
            writers[SectionName.BASIS].append(np.ascontiguousarray(self._basis, "<i2").view(np.uint8))
        if len(self._centres):
            writers[SectionName.CENTRES].append(np.ascontiguousarray(self._centres, "<f4").view(np.uint8))
        if self._lists is not None:
            writers[SectionName.LISTS].append(list_items(self._lists))
        if self._fast is not None:
            writers[SectionName.FAST_BOOK].append(self._fast[1].items())
        for begin, block in self._sweeps(self.order):
            nodes = np.ascontiguousarray(block, "<f4").view(np.uint8)
            if self._neighbours is not None:
                adjacency = np.ascontiguousarray(self._neighbours[begin : begin + len(block)], "<u4").view(np.uint8)
                writers[SectionName.GRAPH].append(adjacency)
                nodes = np.concatenate([nodes, adjacency], axis=1)
            writers[SectionName.NODES].append(nodes)
            if self._fast is not None:
                writers[SectionName.FAST].append(
                    self._fast[2].encode(np.ascontiguousarray(block), begin, self._threads)
                )
            described = np.zeros(len(block), np.uint8)
            for name, codec in self._codecs.items():
                records, of_codes = codec.encode_described(np.ascontiguousarray(block), self._threads)
                writers[name].append(records)
                described = np.maximum(described, of_codes)
            if self._codecs:
                self._described.append(described)
            self._report(BuildPhase.WRITE, begin + len(block))
        for writer in writers.values():
            writer.finish()
