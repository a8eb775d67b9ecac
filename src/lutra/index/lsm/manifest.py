"""What a search index consists of at one moment, as an object says it: JSON, whole or damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from lutra.feed.progress import NO_PROGRESS, Progress
from lutra.index.builds.policy import Policy, SegmentShape, VectorsShape
from lutra.index.definitions.definition import schema_out
from lutra.model.errors import Corruption
from lutra.model.indexes import IndexSchema
from lutra.model.schema import KeyColumn
from lutra.objects.name import is_name
from lutra.tables.history import NO_ORIGIN, Origin
from lutra.vectors.layout import SegmentKind

_FORMAT: Final = 1
_BORROWING_FORMAT: Final = 2
"""Of one that names objects of another index: who does not know of that would look for them among its own."""
SEGMENTS: Final = "segments/"
DELETIONS: Final = "deletions/"


def is_own(name: str) -> bool:
    """Whether an object is the index's own: named as it is below the index's prefix. Else it is borrowed of another
    index over the same store, and named as it is in the store."""
    return name.startswith((SEGMENTS, DELETIONS))


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One segment: its shape, whose name is the object's (`is_own`), and the object of its dead.

    ``since``: all its rows came by changes after this sequence; 0 where that is not known.
    """

    shape: SegmentShape
    deletions: str | None = None
    since: int = 0

    @property
    def names(self) -> set[str]:
        """Of its objects."""
        return {self.shape.name} if self.deletions is None else {self.shape.name, self.deletions}


@dataclass(frozen=True, slots=True)
class BytesWritten:
    """Objects an index has put since it was created: what write amplification is made of."""

    flushed: int = 0
    """Of rows that came in."""
    built: int = 0
    """Of segments made of other segments."""
    deletions: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """``segments`` hold all that ``progress`` says has been taken in; what they say of later changes does no harm.

    ``table_ttl_s`` is the table's time to live by which rows were dropped; ``unindexed`` tells how many values of each
    field were left out, of all changes up to ``progress``; ``origin`` who committed it, so that it is known whose
    changes ``progress`` counts. Of changes after ``seen`` they say nothing; None where a Lutra wrote it that did not
    tell.
    """

    writer: str
    schema: str
    progress: Progress = NO_PROGRESS
    table_ttl_s: int = -1
    segments: tuple[SegmentEntry, ...] = ()
    written: BytesWritten = BytesWritten()
    unindexed: Mapping[str, int] = field(default_factory=dict)
    origin: Origin = NO_ORIGIN
    seen: int | None = None

    @property
    def names(self) -> set[str]:
        """Of all objects it needs."""
        return set().union(*(entry.names for entry in self.segments))

    def awaited_since(self, policy: Policy) -> int | None:
        """Segments that are yet to be built hold nothing of the changes up to this sequence; None: there are none."""
        return min((entry.since for entry in self.segments if policy.is_awaited(entry.shape)), default=None)

    def indexed(self, policy: Policy) -> int:
        """Changes up to this sequence are in segments of the kind that their size calls for; 0 before all rows are."""
        if not self.progress.filled:
            return 0
        since = self.awaited_since(policy)
        return self.progress.position if since is None else min(self.progress.position, since)

    def by(self, writer: str) -> Manifest:
        """The same of another writer."""
        return replace(self, writer=writer)

    def to_json(self) -> bytes:
        through = self.progress.filled_through
        stored = {
            "format": _FORMAT if all(map(is_own, self.names)) else _BORROWING_FORMAT,
            "writer": self.writer,
            "store": self.origin.store,
            "opening": self.origin.opening,
            "schema": self.schema,
            "position": self.progress.position,
            "seen": self.seen,
            "filled": self.progress.filled,
            "filled_through": None if through is None else through.hex(),
            "table_ttl_s": self.table_ttl_s,
            "written": asdict(self.written),
            "unindexed": dict(self.unindexed),
            "segments": [_entry_out(entry) for entry in self.segments],
        }
        return json.dumps(stored, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
        try:
            stored = json.loads(data)
            if stored["format"] not in (_FORMAT, _BORROWING_FORMAT):
                known = f"{_FORMAT} and {_BORROWING_FORMAT}"
                raise Corruption(f"a manifest has format {stored['format']!r}; this version reads {known}")
            through = _checked(stored["filled_through"], str, type(None))
            manifest = cls(
                writer=_checked(stored["writer"], str),
                schema=_checked(stored["schema"], str),
                progress=Progress(
                    position=_count(stored["position"]),
                    filled=_checked(stored["filled"], bool),
                    filled_through=None if through is None else bytes.fromhex(through),
                ),
                table_ttl_s=_checked(stored["table_ttl_s"], int),
                segments=tuple(_entry_in(entry) for entry in stored["segments"]),
                written=BytesWritten(**{name: _count(value) for name, value in stored["written"].items()}),
                # Manifests were written without it.
                unindexed={name: _count(value) for name, value in stored.get("unindexed", {}).items()},
                origin=Origin(_checked(stored.get("store", ""), str), _checked(stored.get("opening", ""), str)),
                seen=None if stored.get("seen") is None else _count(stored["seen"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corruption(f"a manifest cannot be read: {error!r}") from error
        if len({entry.shape.name for entry in manifest.segments}) < len(manifest.segments):
            raise Corruption("a manifest names a segment twice")
        return manifest


def schema_identity(schema: IndexSchema, key_columns: tuple[KeyColumn, ...]) -> str:
    """The same for two indexes whose segments can stand in for each other."""
    key = [[column.name, column.type.value] for column in key_columns]
    described = json.dumps({"fields": schema_out(schema)["fields"], "key": key}, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def _entry_out(entry: SegmentEntry) -> dict[str, Any]:
    shape = entry.shape
    return {
        "name": shape.name,
        "rows": shape.rows,
        "dead": shape.dead,
        "bytes": shape.bytes,
        "scalar_bytes": shape.scalar_bytes,
        "vectors": [[vectors.dimension, vectors.rows, vectors.kind.value] for vectors in shape.vectors],
        "deletions": entry.deletions,
        "since": entry.since,
    }


def _entry_in(stored: dict[str, Any]) -> SegmentEntry:
    name = _checked(stored["name"], str)
    deletions = _checked(stored["deletions"], str, type(None))
    if not _is_called(name, SEGMENTS) or not (deletions is None or _is_called(deletions, DELETIONS)):
        raise ValueError(f"{name!r} and {deletions!r} are no names of a segment and its deletions")
    rows, dead = _count(stored["rows"]), _count(stored["dead"])
    if dead > rows:
        raise ValueError(f"{dead} of {rows} rows are dead")
    vectors = tuple(
        VectorsShape(_count(dimension), _count(count), SegmentKind(kind))
        for dimension, count, kind in stored["vectors"]
    )
    return SegmentEntry(
        SegmentShape(name, rows, dead, _count(stored["bytes"]), _count(stored["scalar_bytes"]), vectors),
        deletions,
        since=_count(stored.get("since", 0)),  # manifests were written without it
    )


def _is_called(name: str, kind: str) -> bool:
    """Whether that is the name of an object of the kind that the folder ``kind`` is for, own or borrowed."""
    return name.startswith(kind) or (is_name(name) and name.rpartition("/")[0].endswith(f"/{kind}"[:-1]))


def _checked(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"{value!r} is of another type")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
