"""Building a segment of buffers and segments: the documents that live, in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.fields.kinds import kind_of
from lutra.fields.sections import Section, SectionKind, Space
from lutra.fields.space_fields import write_fields
from lutra.model.arrays import Docs
from lutra.model.indexes import IndexSchema
from lutra.scalars.pages import PageWriter, Sink
from lutra.scalars.segment_keys import write_keys
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.segments.footer import SegmentMeta
from lutra.segments.numbering import Numbering, number_documents
from lutra.segments.part import Part
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.range_reader import page_aligned
from lutra.vectors.section_writer import ObjectFile
from lutra.vectors.writer import publish, unfinished

Progress = Callable[[str, int, int], None]
"""Called with what is being built, documents or vectors done, and in all; what it raises ends the build."""
Plans = Mapping[str, BuildPlan]


def build_segment(
    target: Path,
    inputs: Sequence[Part],
    schema: IndexSchema,
    *,
    plans: Plans | None = None,
    threads: int = 0,
    is_far: bool = False,
    on_progress: Progress | None = None,
) -> SegmentMeta:
    """Writes the live documents of ``inputs`` as a segment at ``target``. The same inputs give the same bytes.

    Memory: the keys and some 150 bytes a document; then, one field at a time, some 60 bytes a scalar value and the
    distinct strings of a KEYWORD field; of a vector field up to 200 MB, and ``dimension + 250`` bytes a vector where
    there is a graph. Disk: the segment, and once more the vectors of a field where they are more than 64 MB.

    :param inputs: buffers and segments; no key is live in two of them.
    :param plans: by vector field, in place of what `lutra.vectors.build_plan.choose_plan` says of so many vectors.
    :param threads: at most so many; 0: as many as the process may use.
    :param is_far: it will be read from a store far away.
    :raises Corruption: an input is damaged, or two live documents have one key.
    :raises StorageFailure: ``target`` is there already; an input cannot be read; the disk is full or fails.
    :raises ParameterInvalid: a vector is not finite.

    A build that fails, for whatever reason, leaves nothing at ``target`` or beside it, and the inputs as they were; one
    that is killed may leave a file whose name ends in `lutra.vectors.writer.UNFINISHED_SUFFIX`.
    """
    with unfinished(target) as file:
        builder = _Builder(file, inputs, schema, plans or {}, threads, is_far, on_progress)
        meta = builder.write()
        publish(file, target)
    return meta


class _Builder:
    """One build, a `SectionsOut`: section after section; a field's memory is given back before the next takes any."""

    def __init__(
        self,
        file: ObjectFile,
        inputs: Sequence[Part],
        schema: IndexSchema,
        plans: Plans,
        threads: int,
        is_far: bool,
        on_progress: Progress | None,
    ) -> None:
        self.file = file
        self.end = 0
        self.threads = threads
        self.is_far = is_far
        self._inputs = inputs
        self._schema = schema
        self._plans = plans
        self._on_progress = on_progress
        self._sections: list[Section] = []
        self._spaces: list[Space] = []

    def write(self) -> SegmentMeta:
        numbering = number_documents(self._inputs)
        size = len(numbering.keys)
        self._write_keys(numbering)
        newest_ms = self._write_times(size, numbering.renumber)
        fields = [part.fields for part in self._inputs]
        write_fields(kind_of, self, self._schema.fields, size, fields, numbering.renumber)
        meta = SegmentMeta(size, newest_ms, tuple(self._sections), 0, nested=tuple(self._spaces))
        return self._finish(meta)

    def plan(self, field: str) -> BuildPlan | None:
        return self._plans.get(field)

    def report(self, phase: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(phase, done, total)

    def _write_keys(self, numbering: Numbering) -> None:
        size = len(numbering.keys)
        self.report("keys", 0, size)
        self.stream(SectionKind.KEYS, "", lambda sink: write_keys(sink, numbering.keys))
        numbering.keys.clear()
        self.report("keys", size, size)

    def _write_times(self, size: int, renumber: Sequence[Docs]) -> tuple[int, int]:
        """Of all documents the newest timestamp, and the oldest where that is another; bounds of the newest ones."""
        newest, oldest = np.empty(size, np.int64), np.empty(size, np.int64)
        for part, numbers in zip(self._inputs, renumber, strict=True):
            kept = numbers >= 0
            newest[numbers[kept]] = part.newest_ms()[kept]
            oldest[numbers[kept]] = part.oldest_ms()[kept]
        self.stream(SectionKind.NEWEST, "", lambda sink: {"numbers": StoredNumbers.write(sink, newest).meta()})
        docs = np.flatnonzero(oldest != newest)
        if len(docs):
            self.stream(SectionKind.OLDEST, "", lambda sink: _write_some(sink, size, docs, oldest[docs]))
        return (int(newest.min()), int(newest.max())) if size else (0, 0)

    def space(self, path: str, size: int) -> _SpaceOut:
        return self.open_space(path, size, 0)

    def open_space(self, path: str, size: int, parent: int) -> _SpaceOut:
        """As `SectionsOut.space`, below the space of number ``parent``."""
        self._spaces.append(Space(path, size, parent))
        return _SpaceOut(self, len(self._spaces))

    def stream(self, kind: SectionKind, field: str, write: Callable[[Sink], dict[str, Any]], space: int = 0) -> None:
        offset, end = self.end, self.end

        def append(pages: npt.NDArray[np.uint8]) -> None:
            nonlocal end
            aligned = page_aligned(pages.size)
            aligned[:] = pages.reshape(-1)
            self.file.write(end, aligned)
            end += pages.size

        sink = PageWriter(append)
        meta = write(sink)
        sink.finish()
        self.add(Section(kind, field, offset, end - offset, meta), space)

    def add(self, section: Section, space: int = 0) -> None:
        self._sections.append(replace(section, space=space))
        self.end = section.end

    def _finish(self, meta: SegmentMeta) -> SegmentMeta:
        data = meta.to_bytes()
        aligned = page_aligned(len(data))
        aligned[:] = np.frombuffer(data, np.uint8)
        self.file.write(self.end, aligned)
        self.file.finish(self.end + len(data))
        return replace(meta, footer_bytes=len(data))


class _SpaceOut:
    """A `SectionsOut`: the same build, for sections of another space than that of rows."""

    def __init__(self, builder: _Builder, number: int) -> None:
        self.file = builder.file
        self.threads = builder.threads
        self.is_far = builder.is_far
        self.plan = builder.plan
        self.report = builder.report
        self._builder = builder
        self._number = number

    @property
    def end(self) -> int:
        return self._builder.end

    def space(self, path: str, size: int) -> _SpaceOut:
        return self._builder.open_space(path, size, self._number)

    def stream(self, kind: SectionKind, field: str, write: Callable[[Sink], dict[str, Any]]) -> None:
        self._builder.stream(kind, field, write, self._number)

    def add(self, section: Section) -> None:
        self._builder.add(section, self._number)


def _write_some(sink: Sink, size: int, docs: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Timestamps of ``docs``; what `lutra.segments.index_segment.IndexSegment` wants to know of them."""
    places = None if len(docs) == size else StoredNumbers.write(sink, docs).meta()
    numbers = None if times.min() == times.max() else StoredNumbers.write(sink, times).meta()
    return {"count": len(docs), "least": int(times.min()), "docs": places, "numbers": numbers}
