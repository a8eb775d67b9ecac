"""A build as it is handed to whoever does it: segments in, a segment out, all by the names of their objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lutra.index.builds.policy import SegmentShape, VectorsShape
from lutra.index.definitions.definition import schema_in, schema_out
from lutra.model.errors import Corruption
from lutra.model.indexes import IndexSchema
from lutra.vectors.layout import SegmentKind


@dataclass(frozen=True, slots=True)
class BuildInput:
    """A segment and the object that names its dead, if there are any."""

    name: str
    deletions: str | None = None


@dataclass(frozen=True, slots=True)
class BuildJob:
    """Makes the segment ``output`` of the living rows of ``inputs``, the largest first.

    Doing it again, after it was done or broken off anywhere, gives the same object. ``store`` is where the objects are
    (`lutra.objects.open_store`), ``scratch`` a local folder for what is not finished, ``memory_bytes`` what the build
    may take. ``earlier`` are outputs of attempts at the same build of which nobody knows how they ended: one that is
    there, whole, is taken.
    """

    store: str
    inputs: tuple[BuildInput, ...]
    output: str
    schema: IndexSchema
    scratch: str
    memory_bytes: int
    threads: int = 1
    earlier: tuple[str, ...] = ()
    build_memory_bytes: int = 0
    """What any build may take, by which this one is planned; 0: as much as this one."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(
            {
                "store": self.store,
                "inputs": [[part.name, part.deletions] for part in self.inputs],
                "output": self.output,
                "schema": schema_out(self.schema),
                "scratch": self.scratch,
                "memory_bytes": self.memory_bytes,
                "threads": self.threads,
                "earlier": self.earlier,
                "build_memory_bytes": self.build_memory_bytes,
            }
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> BuildJob:
        """Raises Corruption where it is none."""
        try:
            stored = json.loads(line)
            return cls(
                store=stored["store"],
                inputs=tuple(BuildInput(name, deletions) for name, deletions in stored["inputs"]),
                output=stored["output"],
                schema=schema_in(stored["schema"]),
                scratch=stored["scratch"],
                memory_bytes=stored["memory_bytes"],
                threads=stored["threads"],
                earlier=tuple(stored["earlier"]),
                build_memory_bytes=stored["build_memory_bytes"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"a build job cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class BuildDone:
    """The segment that was built, none of whose rows is dead, and the time it took.

    ``shape.name`` is the job's output, or that of an attempt before it (`BuildJob.earlier`).
    """

    shape: SegmentShape
    seconds: float

    def to_json(self) -> dict[str, Any]:
        shape = self.shape
        return {
            "name": shape.name,
            "rows": shape.rows,
            "bytes": shape.bytes,
            "scalar_bytes": shape.scalar_bytes,
            "vectors": [[field.dimension, field.rows, field.kind.value] for field in shape.vectors],
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> BuildDone:
        """Raises KeyError, TypeError, ValueError where it is none."""
        vectors = tuple(VectorsShape(d, rows, SegmentKind(kind)) for d, rows, kind in stored["vectors"])
        shape = SegmentShape(stored["name"], stored["rows"], 0, stored["bytes"], stored["scalar_bytes"], vectors)
        return cls(shape, stored["seconds"])


Progress = Callable[[str, int, int], None]
"""Called with a phase of the build, rows done, rows in all."""
