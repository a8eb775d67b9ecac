"""Sections of a segment, as the kinds of fields write and read them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from lutra.kernels.blocks import BlockCache, BlockSource
from lutra.model.names import shown
from lutra.scalars.pages import PageReader, Sink
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.range_reader import PartReader
from lutra.vectors.section_writer import ObjectFile


class SectionKind(enum.StrEnum):
    """What a section holds; of one field but for the first three."""

    KEYS = "keys"
    NEWEST = "newest"
    OLDEST = "oldest"
    COLUMN = "column"
    TEXT = "text"
    GEO = "geo"
    DOCUMENTS = "documents"
    VECTORS = "vectors"
    CHILDREN = "children"


@dataclass(frozen=True, slots=True)
class Space:
    """Documents of a segment that are numbered together: rows, or what rows hold many of."""

    path: str
    """Of the nested field whose elements they are; empty for the root, the rows."""
    size: int
    parent: int | None = None
    """The number of the space that these belong to; None for the root."""


@dataclass(frozen=True, slots=True)
class Section:
    """Whole pages of an object. ``meta`` is JSON, whose meaning is that of what reads the section."""

    kind: SectionKind
    field: str
    """Empty where it is of no field."""
    offset: int
    size_bytes: int
    meta: Mapping[str, Any]
    space: int = 0
    """The number of the document space that its documents are of; 0 is the root."""

    @property
    def name(self) -> str:
        return f"{self.kind} of {shown(self.field)}" if self.field else self.kind.value

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


class SectionsOut(Protocol):
    """A segment that is being written, section after section, each of one document space."""

    @property
    def file(self) -> ObjectFile: ...

    @property
    def end(self) -> int:
        """Where the next section begins."""

    @property
    def threads(self) -> int:
        """At most so many; 0: as many as the process may use."""

    @property
    def is_far(self) -> bool:
        """Whether the segment will be read from a store far away."""

    def plan(self, field: str) -> BuildPlan | None:
        """What the caller wants of a vector field, in place of what its size calls for."""

    def stream(self, kind: SectionKind, field: str, write: Callable[[Sink], dict[str, Any]]) -> None:
        """Adds a section of checksummed pages; what ``write`` returns is its meta."""

    def add(self, section: Section) -> None:
        """Adds a section that was written to ``file`` at ``end``."""

    def space(self, path: str, size: int) -> SectionsOut:
        """The same segment, for sections of ``size`` documents that those of this space hold of field ``path``."""

    def report(self, phase: str, done: int, total: int) -> None:
        """Tells of progress; what it raises ends the build."""


class SectionsIn(Protocol):
    """A segment that is being opened: the sections of one of its document spaces."""

    @property
    def name(self) -> str:
        """Of the object."""

    @property
    def size(self) -> int:
        """Documents of the space."""

    @property
    def cache(self) -> BlockCache: ...

    @property
    def sweepers(self) -> Executor | None:
        """Threads that read what is kept in memory, several sweeps at a time."""

    @property
    def may_come(self) -> bool:
        """Whether what is kept in memory may come later, where the store is far away."""

    def section(self, kind: SectionKind, field: str = "") -> Section:
        """Raises Corruption where there is none."""

    def space(self, path: str) -> SectionsIn:
        """Those of the space that documents of this one hold of field ``path``. Raises Corruption where it is none."""

    def stream(self, section: Section) -> PageReader:
        """Pages of a section, read through the cache as long as the segment is open."""

    def blocks(self, section: Section) -> BlockSource:
        """The blocks that `stream` reads."""

    def read_once(self, section: Section) -> AbstractContextManager[PageReader]:
        """The same, to be read while the segment is opened and not after that."""

    def part(self, section: Section) -> PartReader:
        """A section that has checksums of its own."""

    def closing(self, close: Callable[[], object]) -> None:
        """Has ``close`` called when the segment is closed."""
