"""Where the bytes of an index segment lie. One object, little-endian, written once (design note 0005)::

    keys                 encoded primary keys, ascending, and a filter over them    lutra.scalars.segment_keys
    newest               the newest timestamp of each document, ms                 lutra.scalars.stored_numbers
    oldest               the documents whose oldest timestamp is another, and it   lutra.scalars.stored_numbers
    column of a field    of each scalar field                                      lutra.scalars.segment_column
    text of a field      the words of each TEXT field                              lutra.text.writer
    geo of a field       the points of each GEO_POINT field                        lutra.geo.segment_geo
    children of a field  how many documents each holds of a nested field, then     lutra.fields.child_counts
                         the fields of these, as those of rows
    documents of a field, then vectors of a field, of each vector field:
                         the document of each vector                               lutra.scalars.stored_numbers
                         a vector segment                                          lutra.vectors.layout
    footer               JSON, spaces up to a page less the trailer
    trailer              footer bytes u32, format version u32, crc32c of all before it in the footer u32, magic 8

Each section is whole pages. All but vector segments, which have checksums of their own, are streams in pages that end
in their crc32c (`lutra.scalars.pages`): so every byte is covered. Documents are numbered in the order of their keys;
vectors have an order of their own, so that a merge can go on from the largest input's graph.

The newest timestamp is that of all cells of the row, the oldest that of the cells that the index took values from: when
the table lets it expire, the document is no longer what the row is. Section ``oldest`` is missing where it would be
empty. Format version 1 did not have it: there the oldest timestamps are not known.

Documents are numbered by spaces: rows are those of the root; what rows hold many of has spaces of its own, each
of which belongs to another. Sections say of which space they are. Before format version 3 there was only the root.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lutra.fields.sections import Section, SectionKind, Space
from lutra.fields.vector_meta import VectorsMeta, vectors_meta
from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, StorageFailure
from lutra.vectors.calibration import Checked
from lutra.vectors.layout import PAGE_BYTES, ROWS_MAX, whole_pages

FORMAT_VERSION: Final = 3
MAGIC: Final = b"lutraSEG"
_TRAILER: Final = struct.Struct("<III8s")
_SPACES_SINCE: Final = 3
"""Version of the format that knows of document spaces."""
TRAILER_BYTES: Final = _TRAILER.size
FOOTER_BYTES_MAX: Final = 64 * 1024 * 1024
TAIL_BYTES: Final = 128 * 1024
"""What opening reads: the footer, and the end of the last vector segment, which opening that one reads next."""


@dataclass(frozen=True, slots=True)
class SegmentMeta:
    """What a segment says of itself."""

    size: int
    """Documents."""
    newest_ms: tuple[int, int]
    """Least and greatest of the documents' timestamps; 0 where there is none."""
    sections: tuple[Section, ...]
    """All but the footer, in the order they lie in."""
    footer_bytes: int
    """Trailer included; 0: not written yet."""
    version: int = FORMAT_VERSION
    """Of the format."""
    nested: tuple[Space, ...] = ()
    """Document spaces beside the root, numbered from 1."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """All document spaces by number, the root first."""
        return (Space("", self.size), *self.nested)

    @property
    def checked(self) -> dict[str, Checked]:
        """By vector field, with all codes in memory."""
        return {
            vectors.field: Checked(vectors.recall, vectors.fallback, vectors.exact_rows) for vectors in self.vectors
        }

    @property
    def offset(self) -> int:
        """Where the footer begins."""
        return self.sections[-1].end if self.sections else 0

    @property
    def size_bytes(self) -> int:
        """Of the object."""
        return self.offset + self.footer_bytes

    @property
    def vectors(self) -> tuple[VectorsMeta, ...]:
        """By field, in the order they lie in."""
        return tuple(vectors_meta(section) for section in self.sections if section.kind is SectionKind.VECTORS)

    @property
    def scalar_bytes(self) -> int:
        """Of columns and keys."""
        return sum(map(self._bytes_of, (SectionKind.COLUMN, SectionKind.TEXT, SectionKind.GEO, SectionKind.KEYS)))

    @property
    def bytes_by_class(self) -> Mapping[str, int]:
        """Of the object: ``metadata``, ``keys``, ``columns``, ``text``, ``geo``, ``codes``, ``graph``, ``vectors``."""
        within = [vectors.bytes for vectors in self.vectors]
        coded = sum(part.code_bytes for part in self.vectors)
        graph, nodes = (sum(part.get(name, 0) for part in within) for name in ("graph", "nodes"))
        streams = {
            "keys": SectionKind.KEYS,
            "columns": SectionKind.COLUMN,
            "text": SectionKind.TEXT,
            "geo": SectionKind.GEO,
        }
        of_streams = {name: self._bytes_of(kind) for name, kind in streams.items()}
        of_streams["columns"] += self._bytes_of(SectionKind.CHILDREN)
        rest = self.size_bytes - sum(of_streams.values()) - coded - graph - nodes
        return {"metadata": rest, **of_streams, "codes": coded, "graph": graph, "vectors": nodes}

    @property
    def resident_bytes(self) -> int:
        """Memory that searching its vectors takes at most where there is plenty."""
        return sum(vectors.resident_bytes for vectors in self.vectors)

    def section(self, kind: SectionKind, field: str = "", space: int = 0) -> Section | None:
        """The section of that kind and field, of the space of that number; None where there is none."""
        return next((s for s in self.sections if (s.kind, s.field, s.space) == (kind, field, space)), None)

    def _bytes_of(self, kind: SectionKind) -> int:
        return sum(section.size_bytes for section in self.sections if section.kind is kind)

    def to_bytes(self) -> bytes:
        """The footer with its trailer, whole pages. Raises ValueError where it is too long."""
        document = {
            "spaces": [[space.path, space.size, space.parent] for space in self.spaces],
            "newest_ms": list(self.newest_ms),
            "sections": [[s.kind.value, s.field, s.offset, s.size_bytes, dict(s.meta), s.space] for s in self.sections],
        }
        text = json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
        size_bytes = whole_pages(len(text) + TRAILER_BYTES)
        if size_bytes > FOOTER_BYTES_MAX:
            raise ValueError(f"the footer takes {size_bytes} bytes, more than {FOOTER_BYTES_MAX}")
        head = text.ljust(size_bytes - TRAILER_BYTES) + struct.pack("<II", size_bytes, FORMAT_VERSION)
        return head + struct.pack("<I8s", crc32c(head), MAGIC)


def footer_size(tail: bytes, object_bytes: int, name: str) -> int:
    """How many bytes the footer at the end of ``tail``, and of an object of ``object_bytes``, takes.

    Raises Corruption where ``tail`` does not end as a segment does.
    """
    if len(tail) < PAGE_BYTES or tail[-len(MAGIC) :] != MAGIC:
        raise Corruption(f"{name}: does not end as an index segment does: it is cut short, or something else.")
    size_bytes = int(_TRAILER.unpack(tail[-TRAILER_BYTES:])[0])
    if not PAGE_BYTES <= size_bytes <= min(FOOTER_BYTES_MAX, object_bytes) or size_bytes % PAGE_BYTES:
        raise Corruption(f"{name}: section 'footer' (the object's end): its length fails its checksum.")
    return size_bytes


def parse_footer(data: bytes, object_bytes: int, name: str) -> SegmentMeta:
    """What the footer ``data``, which is as long as `footer_size` says, tells of an object of ``object_bytes``.

    Raises Corruption where it fails its checksum, and StorageFailure where a newer Lutra wrote it.
    """
    _, version, checksum, _ = _TRAILER.unpack(data[-TRAILER_BYTES:])
    begin = object_bytes - len(data)
    if crc32c(data[: -TRAILER_BYTES + 8]) != checksum:
        raise Corruption(f"{name}: section 'footer' (bytes {begin} to {object_bytes}) fails its checksum.")
    if version > FORMAT_VERSION:
        raise StorageFailure(
            f"{name}: an index segment of format version {version}; this Lutra reads up to {FORMAT_VERSION}."
        )
    try:
        meta = _parse(json.loads(data[:-TRAILER_BYTES]), len(data), version)
        _check(meta, begin)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Corruption(f"{name}: the footer of this index segment makes no sense: {error!r}.") from error
    return meta


def _parse(document: dict[str, Any], footer_bytes: int, version: int) -> SegmentMeta:
    oldest, newest = document["newest_ms"]
    nested: tuple[Space, ...] = ()
    if version < _SPACES_SINCE:
        size = int(document["size"])
        listed = [[*section, 0] for section in document["sections"]]
    else:
        root, *others = (_space(*space) for space in document["spaces"])
        if root.path or root.parent is not None:
            raise ValueError("the first space is not that of rows")
        size, nested, listed = root.size, tuple(others), document["sections"]
    sections = tuple(
        Section(SectionKind(kind), str(field), int(offset), int(size_bytes), dict(meta), int(space))
        for kind, field, offset, size_bytes, meta, space in listed
    )
    return SegmentMeta(size, (int(oldest), int(newest)), sections, footer_bytes, version, nested)


def _space(path: str, size: int, parent: int | None) -> Space:
    return Space(str(path), int(size), None if parent is None else int(parent))


def _check(meta: SegmentMeta, offset: int) -> None:
    """Raises ValueError where numbers are out of range, or the sections do not follow each other up to the footer."""
    if not 0 <= meta.size <= ROWS_MAX:
        raise ValueError(f"{meta.size} documents")
    end = 0
    for section in meta.sections:
        if section.offset != end or section.size_bytes < 0 or section.size_bytes % PAGE_BYTES:
            raise ValueError(f"section '{section.name}' is not where it has to be")
        end = section.end
    if end != offset:
        raise ValueError("the sections do not end where the footer begins")
    if len({(section.kind, section.field, section.space) for section in meta.sections}) != len(meta.sections):
        raise ValueError("there are two sections of one kind and field")
    if any(not 0 <= section.space <= len(meta.nested) for section in meta.sections):
        raise ValueError("a section is of a document space that is not there")
    for number, space in enumerate(meta.nested, 1):
        if not 0 <= space.size <= ROWS_MAX or space.parent is None or not 0 <= space.parent < number:
            raise ValueError(f"document space {space.path!r} belongs to none")
    if len({space.path for space in meta.spaces}) != len(meta.spaces):
        raise ValueError("there are two document spaces of one path")
    vectors = (section for section in meta.sections if section.kind is SectionKind.VECTORS)
    if any(not 0 <= vectors_meta(section).rows <= meta.spaces[section.space].size for section in vectors):
        raise ValueError("there are more vectors than documents")
