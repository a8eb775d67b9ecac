"""Vectors, among which the nearest are searched: VECTOR fields."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import FieldPart, Nearest
from lutra.fields.hashing import Hasher
from lutra.fields.kind import FieldKind
from lutra.fields.sections import Section, SectionKind, SectionsIn, SectionsOut
from lutra.fields.stored_vectors import SegmentVectors
from lutra.fields.vector_meta import VectorsMeta, vectors_json, vectors_meta
from lutra.model import limits
from lutra.model.arrays import Digests, Docs, Mask, Matrix
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.values import ColumnType
from lutra.scalars.pages import Sink
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.vectors.build_memory import sample_bytes
from lutra.vectors.build_plan import choose_plan
from lutra.vectors.column import VectorColumn, VectorView
from lutra.vectors.doubtful import Doubtful, Measured
from lutra.vectors.layout import SegmentKind
from lutra.vectors.merge import surviving_graph
from lutra.vectors.range_reader import LocalFile, PartReader
from lutra.vectors.reachability import unreachable_rows
from lutra.vectors.segment import Segment, calibrate, check, checked
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import BuildPhase, write_segment_into


class VectorKind(FieldKind):
    """float32 vectors of one dimension. Their rows in a segment have an order of their own (`lutra.vectors`)."""

    type = FieldType.VECTOR
    column_types = frozenset({ColumnType.STRING, ColumnType.BINARY})
    options = "vector"
    is_nearest = True
    fields_max = limits.VECTOR_FIELDS_MAX
    may_be_key = False
    json_types = frozenset({list})

    def check(self, field: FieldSchema) -> None:
        if field.vector is None:
            raise ParameterInvalid(f"field [{field.name}] is of type VECTOR: vector options are missing")
        if not 1 <= field.vector.dimension <= limits.VECTOR_DIMENSION_MAX:
            raise ParameterInvalid(
                f"field [{field.name}]: a vector has 1 to {limits.VECTOR_DIMENSION_MAX} dimensions, "
                f"not {field.vector.dimension}"
            )
        if field.is_array:
            raise ParameterInvalid(f"field [{field.name}] is of type VECTOR: it can be no array")
        super().check(field)

    def value_bytes(self, field: FieldSchema) -> int:
        assert field.vector is not None
        return 4 * field.vector.dimension

    def is_written_last(self, field: FieldSchema) -> bool:
        return True

    def column(self, field: FieldSchema) -> VectorColumn:
        return VectorColumn(field)

    def write(
        self, out: SectionsOut, field: FieldSchema, size: int, inputs: Sequence[FieldPart], renumber: Sequence[Docs]
    ) -> None:
        vectors = cast(Sequence[Nearest], inputs)
        parts = [_Input(part, numbers[part.docs()]) for part, numbers in zip(vectors, renumber, strict=True)]
        # It goes on from the first one's graph.
        parts.sort(key=lambda part: 0 if part.graph_file is None else -part.rows)
        _Write(out, field, parts).run()

    def resident_bytes(self, sections: SectionsIn, field: FieldSchema) -> int:
        return vectors_meta(sections.section(SectionKind.VECTORS, field.name)).resident_bytes

    def open(self, sections: SectionsIn, field: FieldSchema, budget_bytes: int | None) -> SegmentVectors:
        assert field.vector is not None
        section = sections.section(SectionKind.VECTORS, field.name)
        file = SegmentFile.open(sections.part(section))
        if (file.dimension, file.metric) != (field.vector.dimension, field.vector.metric):
            raise Corruption(f"{sections.name}: {section.name} are not of the dimension or metric that the index has.")
        segment = Segment.open(
            file,
            cache=sections.cache,
            memory_budget_bytes=budget_bytes,
            sweepers=sections.sweepers,
            may_come=sections.may_come,
        )
        sections.closing(segment.close)
        documents = sections.section(SectionKind.DOCUMENTS, field.name)
        with sections.read_once(documents) as source:
            docs: Docs = StoredNumbers.of(documents.meta["numbers"]).read(source).astype(np.int32)
        return SegmentVectors(field, sections.size, docs, segment)

    def faults(self, part: FieldPart) -> Iterator[str]:
        lost = unreachable_rows(cast(SegmentVectors, part).file)
        if lost:
            yield f"the graph of [{part.field.name}] does not lead to {lost} of its rows"

    def digest(self, hasher: Hasher, digests: Digests, part: FieldPart) -> None:
        vectors = cast(Nearest, part)
        docs, first = vectors.docs(), 0
        for block in vectors.row_blocks():
            words = np.ascontiguousarray(block).view(np.uint32).astype(np.uint64)
            hashes = words @ hasher.weights(words.shape[1])
            digests[docs[first : first + len(block)]] += hasher.mixed(hashes, part.field.name)
            first += len(block)

    def is_same(self, part: FieldPart, doc: int, other: FieldPart, other_doc: int) -> bool:
        vector = _vector(cast(VectorView, part), doc)
        stored = _stored_vector(cast(SegmentVectors, other), other_doc)
        return vector is None if stored is None else vector is not None and np.array_equal(vector, stored)


@dataclass(frozen=True, slots=True)
class _Input:
    """The vectors of one field in one part."""

    vectors: Nearest
    docs: Docs
    """int32[rows]: the new document of each row; -1 where it is dead."""

    @property
    def kept(self) -> Mask:
        return self.docs >= 0

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.kept))

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


class _Write:
    """The vectors of a field, and the document of each: after them where they are put in an order."""

    def __init__(self, out: SectionsOut, field: FieldSchema, inputs: Sequence[_Input]) -> None:
        assert field.vector is not None
        self._out = out
        self._field = field
        self._options = field.vector
        self._inputs = inputs
        self._phase = f"vectors of {field.name}"

    def run(self) -> None:
        out, name, inputs = self._out, self._field.name, self._inputs
        docs = np.concatenate([part.docs[part.kept] for part in inputs]) if inputs else np.empty(0, np.int32)
        plan = out.plan(name) or choose_plan(len(docs), self._options.dimension, may_reorder=True, is_far=out.is_far)
        order: list[npt.NDArray[np.uint32]] = []
        if not plan.has_lists:
            self._write_documents(docs)
        start = inputs[0].graph(plan.degree) if plan.kind is SegmentKind.GRAPH and inputs else None
        size_bytes = write_segment_into(
            out.file,
            self._gathered(len(docs)),
            self._options.metric,
            offset=out.end,
            dimension=self._options.dimension,
            plan=plan,
            threads=out.threads,
            start_graph=start,
            calibrate=None if plan.kind is SegmentKind.FLAT else self._measured,
            on_progress=self._report,
            on_order=order.append,
        )
        meta = vectors_json(self._meta(size_bytes))
        out.add(Section(SectionKind.VECTORS, name, out.end, size_bytes, meta))
        if plan.has_lists:
            self._write_documents(docs[order[0]])

    def _write_documents(self, docs: Docs) -> None:
        """Of each row of the vectors."""

        def write(sink: Sink) -> dict[str, Any]:
            return {"numbers": StoredNumbers.write(sink, docs).meta()}

        self._out.stream(SectionKind.DOCUMENTS, self._field.name, write)

    def _report(self, at: BuildPhase, done: int, total: int) -> None:
        self._out.report(f"{self._phase}: {at}", done, total)

    def _measured(self, file: SegmentFile, doubtful: Doubtful) -> Measured:
        self._out.report(f"{self._phase}: calibrate", 0, file.rows)
        # Scans take no calibration: at the default bound they find 98.5 % or more with a fifth more reads (10,000 rows
        # of 128 and 960 dimensions, LID 38), and measuring takes twenty times as long as all else.
        measured = (calibrate if file.kind is SegmentKind.GRAPH else check)(file, doubtful, threads=self._out.threads)
        self._out.report(f"{self._phase}: calibrate", file.rows, file.rows)
        return measured

    def _gathered(self, rows: int) -> Matrix | Iterator[Matrix]:
        """The vectors that live, input by input; together where they are few."""
        blocks = (block for part in self._inputs for block in part.blocks())
        if 4 * rows * self._options.dimension > sample_bytes():
            return blocks
        return np.concatenate([np.empty((0, self._options.dimension), np.float32), *blocks])

    def _meta(self, size_bytes: int) -> VectorsMeta:
        written = self._out.file
        with contextlib.closing(LocalFile(written.path)) as whole:
            file = SegmentFile.open(PartReader(whole, self._out.end, size_bytes, written.name))
            sizes = {name.value: section.stored_bytes for name, section in file.sections.items()}
            sizes["footer"] = size_bytes - sum(sizes.values())
            return VectorsMeta(self._field.name, file.dimension, file.rows, file.kind, sizes, *checked(file))


def _vector(vectors: VectorView, doc: int) -> npt.NDArray[np.float32] | None:
    """float32[dimension]; None where the document has none."""
    for rows, docs in vectors.blocks:
        for place in np.flatnonzero(docs == doc).tolist():
            row: npt.NDArray[np.float32] = rows[place]
            return row
    return None


def _stored_vector(vectors: SegmentVectors, doc: int) -> npt.NDArray[np.float32] | None:
    rows = np.flatnonzero(vectors.docs() == doc)
    return vectors.file.read_vectors(rows)[0] if len(rows) else None
