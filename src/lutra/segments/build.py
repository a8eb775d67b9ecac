"""Building a segment of buffers and segments: the documents that live, in the order of their keys."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.scalars.elements import merged
from lutra.scalars.pages import PageWriter, Sink
from lutra.scalars.segment_column import write_column
from lutra.scalars.segment_keys import write_keys
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.segments.footer import Section, SectionKind, SegmentMeta, VectorsMeta, vectors_json
from lutra.segments.numbering import Docs, Numbering, number_documents
from lutra.segments.part import Part
from lutra.segments.vectors import SegmentVectors
from lutra.vectors.build_plan import BuildPlan, choose_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.merge import surviving_graph
from lutra.vectors.part import VectorPart
from lutra.vectors.range_reader import LocalFile, PartReader, page_aligned
from lutra.vectors.section_writer import ObjectFile
from lutra.vectors.segment import calibrate, check, checked
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import BuildPhase, publish, unfinished, write_segment_into

IN_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Of vectors that are gathered in memory; more of them go through a file beside the segment."""

Progress = Callable[[str, int, int], None]
"""Called with what is being built, documents or vectors done, and in all; what it raises ends the build."""
Plans = Mapping[str, BuildPlan]
Matrix = npt.NDArray[np.float32]


def build_segment(
    target: Path,
    inputs: Sequence[Part],
    schema: IndexSchema,
    *,
    plans: Plans | None = None,
    threads: int = 0,
    on_progress: Progress | None = None,
) -> SegmentMeta:
    """Writes the live documents of ``inputs`` as a segment at ``target``. The same inputs give the same bytes.

    Memory: the keys and some 150 bytes a document; then, one field at a time, some 60 bytes a scalar value and the
    distinct strings of a KEYWORD field; of a vector field up to 200 MB, and ``dimension + 250`` bytes a vector where
    there is a graph. Disk: the segment, and once more the vectors of a field where they are more than 64 MB.

    :param inputs: buffers and segments; no key is live in two of them.
    :param plans: by vector field, in place of what `lutra.vectors.build_plan.choose_plan` says of so many vectors.
    :param threads: at most so many; 0: as many as the process may use.
    :raises Corruption: an input is damaged, or two live documents have one key.
    :raises StorageFailure: ``target`` is there already; an input cannot be read; the disk is full or fails.
    :raises ParameterInvalid: a vector is not finite.

    A build that fails, for whatever reason, leaves nothing at ``target`` or beside it, and the inputs as they were; one
    that is killed may leave a file whose name ends in `lutra.vectors.writer.UNFINISHED_SUFFIX`.
    """
    with unfinished(target) as file:
        builder = _Builder(file, inputs, schema, plans or {}, threads, on_progress)
        meta = builder.write()
        publish(file, target)
    return meta


@dataclass(frozen=True, slots=True)
class _FieldInput:
    """The vectors of one field in one part."""

    vectors: VectorPart
    docs: Docs
    """int32[rows]: the new document of each row; -1 where it is dead."""

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        return self.docs >= 0

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.docs >= 0))

    def blocks(self) -> Iterator[Matrix]:
        begin, kept = 0, self.kept
        for block in self.vectors.row_blocks():
            yield block[kept[begin : begin + len(block)]]
            begin += len(block)

    @property
    def graph_file(self) -> SegmentFile | None:
        """The vector segment that has a graph to go on from."""
        file = self.vectors.file if isinstance(self.vectors, SegmentVectors) else None
        return file if file is not None and file.kind is SegmentKind.GRAPH and self.rows else None

    def graph(self, degree: int) -> npt.NDArray[np.uint32] | None:
        """uint32[rows that live, degree]; None where there is none of that degree."""
        file = self.graph_file
        return surviving_graph(file.load_graph(), self.kept) if file is not None and file.degree == degree else None


class _Builder:
    """One build: section after section, each field's memory given back before the next one's is taken."""

    def __init__(
        self,
        file: ObjectFile,
        inputs: Sequence[Part],
        schema: IndexSchema,
        plans: Plans,
        threads: int,
        on_progress: Progress | None,
    ) -> None:
        self._file = file
        self._inputs = inputs
        self._schema = schema
        self._plans = plans
        self._threads = threads
        self._on_progress = on_progress
        self._sections: list[Section] = []
        self._end = 0

    def write(self) -> SegmentMeta:
        numbering = number_documents(self._inputs)
        size = len(numbering.keys)
        self._write_keys(numbering)
        newest_ms = self._write_times(size, numbering.renumber)
        for field in self._schema.fields:
            if field.type is not FieldType.VECTOR:
                self._write_column(field, size, numbering.renumber)
        for field in self._schema.fields:
            if field.vector is not None:
                self._write_vectors(field, field.vector, numbering.renumber)
        meta = SegmentMeta(size, newest_ms, tuple(self._sections), 0)
        return self._finish(meta)

    def _report(self, phase: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(phase, done, total)

    def _write_keys(self, numbering: Numbering) -> None:
        size = len(numbering.keys)
        self._report("keys", 0, size)
        self._stream(SectionKind.KEYS, "", lambda sink: write_keys(sink, numbering.keys))
        numbering.keys.clear()
        self._report("keys", size, size)

    def _write_times(self, size: int, renumber: Sequence[Docs]) -> tuple[int, int]:
        """Of all documents the newest timestamp, and the oldest where that is another; bounds of the newest ones."""
        newest, oldest = np.empty(size, np.int64), np.empty(size, np.int64)
        for part, numbers in zip(self._inputs, renumber, strict=True):
            kept = numbers >= 0
            newest[numbers[kept]] = part.newest_ms()[kept]
            oldest[numbers[kept]] = part.oldest_ms()[kept]
        self._stream(SectionKind.NEWEST, "", lambda sink: {"numbers": StoredNumbers.write(sink, newest).meta()})
        docs = np.flatnonzero(oldest != newest)
        if len(docs):
            self._stream(SectionKind.OLDEST, "", lambda sink: _write_some(sink, size, docs, oldest[docs]))
        return (int(newest.min()), int(newest.max())) if size else (0, 0)

    def _write_column(self, field: FieldSchema, size: int, renumber: Sequence[Docs]) -> None:
        phase = f"column of {field.name}"
        self._report(phase, 0, size)
        elements = merged(
            [part.scalars[field.name].elements(numbers) for part, numbers in zip(self._inputs, renumber, strict=True)]
        )

        def write(sink: Sink) -> dict[str, Any]:
            column = write_column(sink, field, size, elements)
            return {"type": field.type.value, "is_array": field.is_array, "column": column}

        self._stream(SectionKind.COLUMN, field.name, write)
        self._report(phase, size, size)

    def _stream(self, kind: SectionKind, field: str, write: Callable[[Sink], dict[str, Any]]) -> None:
        """A section of pages; what ``write`` returns is its meta."""
        offset = self._end

        def append(pages: npt.NDArray[np.uint8]) -> None:
            aligned = page_aligned(pages.size)
            aligned[:] = pages.reshape(-1)
            self._file.write(self._end, aligned)
            self._end += pages.size

        sink = PageWriter(append)
        meta = write(sink)
        sink.finish()
        self._sections.append(Section(kind, field, offset, self._end - offset, meta))

    def _write_vectors(self, field: FieldSchema, options: VectorOptions, renumber: Sequence[Docs]) -> None:
        parts = [part.vectors[field.name] for part in self._inputs]
        inputs = [_FieldInput(part, numbers[part.docs()]) for part, numbers in zip(parts, renumber, strict=True)]
        inputs.sort(
            key=lambda part: 0 if part.graph_file is None else -part.rows
        )  # it goes on from the first one's graph
        docs = np.concatenate([part.docs[part.kept] for part in inputs]) if inputs else np.empty(0, np.int32)
        self._stream(
            SectionKind.DOCUMENTS, field.name, lambda sink: {"numbers": StoredNumbers.write(sink, docs).meta()}
        )
        plan = self._plans.get(field.name) or choose_plan(len(docs), options.dimension)
        start = inputs[0].graph(plan.degree) if plan.kind is SegmentKind.GRAPH and inputs else None

        phase = f"vectors of {field.name}"

        def report(at: BuildPhase, done: int, total: int) -> None:
            self._report(f"{phase}: {at}", done, total)

        def measure(file: SegmentFile) -> Mapping[str, Any]:
            self._report(f"{phase}: calibrate", 0, file.rows)
            # Scans take no calibration: at the default bound they find 98.5 % or more with a fifth more reads (10,000
            # rows of 128 and 960 dimensions, LID 38), and measuring takes twenty times as long as all else.
            measured = (calibrate if plan.kind is SegmentKind.GRAPH else check)(file, threads=self._threads)
            self._report(f"{phase}: calibrate", file.rows, file.rows)
            return measured

        size_bytes = write_segment_into(
            self._file,
            _gathered(inputs, len(docs), options.dimension),
            options.metric,
            offset=self._end,
            dimension=options.dimension,
            plan=plan,
            threads=self._threads,
            start_graph=start,
            calibrate=None if plan.kind is SegmentKind.FLAT else measure,
            on_progress=report,
        )
        meta = self._vectors_meta(field, size_bytes)
        self._sections.append(Section(SectionKind.VECTORS, field.name, self._end, size_bytes, vectors_json(meta)))
        self._end += size_bytes

    def _vectors_meta(self, field: FieldSchema, size_bytes: int) -> VectorsMeta:
        with contextlib.closing(LocalFile(self._file.path)) as whole:
            file = SegmentFile.open(PartReader(whole, self._end, size_bytes, self._file.name))
            sizes = {name.value: section.stored_bytes for name, section in file.sections.items()}
            sizes["footer"] = size_bytes - sum(sizes.values())
            recall, fallback = checked(file)
            return VectorsMeta(field.name, file.dimension, file.rows, file.kind, sizes, recall, fallback)

    def _finish(self, meta: SegmentMeta) -> SegmentMeta:
        data = meta.to_bytes()
        aligned = page_aligned(len(data))
        aligned[:] = np.frombuffer(data, np.uint8)
        self._file.write(self._end, aligned)
        self._file.finish(self._end + len(data))
        return SegmentMeta(meta.size, meta.newest_ms, meta.sections, len(data))


def _write_some(sink: Sink, size: int, docs: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Timestamps of ``docs``; what `lutra.segments.index_segment.IndexSegment` wants to know of them."""
    places = None if len(docs) == size else StoredNumbers.write(sink, docs).meta()
    numbers = None if times.min() == times.max() else StoredNumbers.write(sink, times).meta()
    return {"count": len(docs), "least": int(times.min()), "docs": places, "numbers": numbers}


def _gathered(inputs: Sequence[_FieldInput], rows: int, dimension: int) -> Matrix | Iterator[Matrix]:
    """The vectors that live, input by input; together where they are few."""
    blocks = (block for part in inputs for block in part.blocks())
    if 4 * rows * dimension > IN_MEMORY_BYTES:
        return blocks
    return np.concatenate([np.empty((0, dimension), np.float32), *blocks])
