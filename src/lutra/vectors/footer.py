"""The footer of a vector segment: what it is made of and where; the bytes that are read first."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lutra.kernels.checksum import crc32c
from lutra.kernels.fast_codes import CENTRES
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.fast_format import FastFormat
from lutra.vectors.layout import (
    CHECKSUM_BYTES,
    DEGREE_MAX,
    DIMENSION_MAX,
    EXACT_MAX,
    PAGE_BYTES,
    ROWS_MAX,
    SWEEP_BLOCK_BYTES,
    BlockLayout,
    Section,
    SectionName,
    SegmentKind,
    block_layout,
    whole_pages,
)
from lutra.vectors.list_format import PLACE_BYTES, ListFormat

FORMAT_VERSION: Final = 6
"""2: codes may have a basis, and finer ones beside them. 3: they may have several centres. 4: rows may be kept exact
beside them. 5: rows may be ordered by cluster, in lists. 6: and have fast codes. Segments without such say the version
before."""
MAGIC: Final = b"lutraVEC"
_TRAILER: Final = struct.Struct("<III8s")
TRAILER_BYTES: Final = _TRAILER.size
FOOTER_BYTES_MAX: Final = 16 * 1024 * 1024

Sections = Mapping[SectionName, Section]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a segment says of itself. ``calibration`` is JSON whose meaning is the searcher's."""

    kind: SegmentKind
    rows: int
    dimension: int
    metric: Metric
    seed: int
    codes: CodeFormat | None
    """None: no codes."""
    fine: CodeFormat | None
    """Longer codes, of what the others leave in doubt; None: none."""
    degree: int
    """0: no graph."""
    entry_count: int
    block_bytes: int
    """Of a block of nodes."""
    sections: Sections
    """All but the footer, in the order they lie in."""
    navigation_checksum: int
    build: Mapping[str, Any]
    """How it was built, for people."""
    calibration: Mapping[str, Any]
    exact: int = 0
    """Rows that are kept exact beside the codes, which do not describe them."""
    lists: ListFormat | None = None
    """None: rows are in the order they were given."""
    fast: FastFormat | None = None
    """None: there are no fast codes."""

    def layout(self, name: SectionName) -> BlockLayout:
        """How items lie in blocks; raises KeyError for a section that this kind has not, or that has no blocks."""
        if name is SectionName.NODES:
            return BlockLayout(4 * (self.dimension + self.degree), self.block_bytes)
        item_bytes = {
            SectionName.CODES: self.codes.record_bytes if self.codes else 0,
            SectionName.FINE: self.fine.record_bytes if self.fine else 0,
            SectionName.GRAPH: 4 * self.degree,
            SectionName.BASIS: 2 * self.dimension if self.directions else 0,
            SectionName.CENTRES: 4 * self.dimension if self.centres else 0,
            SectionName.LISTS: self.codes.coded_dimension + PLACE_BYTES if self.lists and self.codes else 0,
            SectionName.FAST_BOOK: 4 * (self.codes.coded_dimension + CENTRES) if self.fast and self.codes else 0,
            SectionName.FAST: self.fast.block_bytes if self.fast else 0,
            SectionName.EXACT: 4 + 4 * self.dimension if self.exact else 0,
        }[name]
        if item_bytes == 0:
            raise KeyError(name)
        return block_layout(item_bytes)

    @property
    def directions(self) -> int:
        """Of the basis; 0: there is none."""
        return max((codes.directions for codes in (self.codes, self.fine) if codes), default=0)

    @property
    def centres(self) -> int:
        """Of the codes, beside the centroid; 0: there are none."""
        return self.codes.centres if self.codes is not None and self.codes.has_centres else 0

    @property
    def version(self) -> int:
        """The first that has what is in it, so that as many as can read it."""
        if self.fast:
            return FORMAT_VERSION
        if self.lists:
            return 5
        if self.exact:
            return 4
        return 3 if self.centres else 2

    def items(self, name: SectionName) -> int:
        """How many items a section of blocks has: a row each, or a direction, a centre, a list, 16 rows, or a row kept
        exact."""
        return {
            SectionName.BASIS: self.directions,
            SectionName.CENTRES: self.centres,
            SectionName.LISTS: self.lists.count if self.lists else 0,
            SectionName.FAST_BOOK: 2 * self.fast.groups if self.fast else 0,
            SectionName.FAST: self.fast.blocks(self.rows) if self.fast else 0,
            SectionName.EXACT: self.exact,
        }.get(name, self.rows)

    @property
    def offset(self) -> int:
        """Where the footer begins."""
        return max(section.end for section in self.sections.values())

    def to_bytes(self) -> bytes:
        """The footer with its trailer, whole pages."""
        document = {
            "kind": self.kind.value,
            "rows": self.rows,
            "dimension": self.dimension,
            "metric": self.metric.name.lower(),
            "seed": self.seed,
            "codes": self.codes.to_json() if self.codes else None,
            "fine": self.fine.to_json() if self.fine else None,
            "degree": self.degree,
            "entry_count": self.entry_count,
            "block_bytes": self.block_bytes,
            "sections": {name.value: [section.offset, section.size_bytes] for name, section in self.sections.items()},
            "navigation_checksum": self.navigation_checksum,
            "build": dict(self.build),
            "calibration": dict(self.calibration),
        } | ({"exact": self.exact} if self.exact else {})
        document |= {"lists": self.lists.to_json()} if self.lists else {}
        document |= {"fast": self.fast.to_json()} if self.fast else {}
        text = json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
        size_bytes = whole_pages(len(text) + TRAILER_BYTES)
        if size_bytes > FOOTER_BYTES_MAX:
            raise ValueError(f"the footer takes {size_bytes} bytes, more than {FOOTER_BYTES_MAX}")
        body = text.ljust(size_bytes - TRAILER_BYTES)
        head = body + struct.pack("<II", size_bytes, self.version)
        return head + struct.pack("<I8s", crc32c(head), MAGIC)


def footer_size(tail: bytes, name: str) -> int:
    """How many bytes the footer at the end of ``tail`` takes, trailer included.

    Raises Corruption where ``tail`` does not end as a segment does.
    """
    if len(tail) < PAGE_BYTES or tail[-len(MAGIC) :] != MAGIC:
        raise Corruption(f"{name}: does not end as a vector segment does: it is cut short, or something else.")
    size_bytes = int(_TRAILER.unpack(tail[-TRAILER_BYTES:])[0])
    if not PAGE_BYTES <= size_bytes <= FOOTER_BYTES_MAX or size_bytes % PAGE_BYTES:
        raise Corruption(f"{name}: section 'footer' (the object's end): its length fails its checksum.")
    return size_bytes


def parse_footer(data: bytes, object_bytes: int, name: str) -> Footer:
    """The footer in ``data``, which is as long as `footer_size` says, of an object of ``object_bytes``.

    Raises Corruption where it fails its checksum, and StorageFailure where a newer Lutra wrote it.
    """
    _, version, checksum, _ = _TRAILER.unpack(data[-TRAILER_BYTES:])
    if crc32c(data[: -CHECKSUM_BYTES - len(MAGIC)]) != checksum:
        begin = object_bytes - len(data)
        raise Corruption(f"{name}: section 'footer' (bytes {begin} to {object_bytes}) fails its checksum.")
    if version > FORMAT_VERSION:
        raise StorageFailure(
            f"{name}: a vector segment of format version {version}; this Lutra reads up to {FORMAT_VERSION}."
        )
    try:
        footer = _footer(json.loads(data[:-TRAILER_BYTES]), version)
        _check(footer, object_bytes - len(data))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Corruption(f"{name}: the footer of this vector segment makes no sense: {error!r}.") from error
    return footer


def _footer(document: dict[str, Any], version: int) -> Footer:
    sections = {SectionName(name): Section(int(at), int(size)) for name, (at, size) in document["sections"].items()}
    dimension = int(document["dimension"])
    if version == 1:
        codes = CodeFormat(dimension, int(document["code_bits"])) if document["code_bits"] else None
        fine = None
    else:
        codes, fine = (
            CodeFormat.from_json(dimension, document[name]) if document[name] else None for name in ("codes", "fine")
        )
    return Footer(
        kind=SegmentKind(document["kind"]),
        rows=int(document["rows"]),
        dimension=dimension,
        metric=Metric[document["metric"].upper()],
        seed=int(document["seed"]),
        codes=codes,
        fine=fine,
        degree=int(document["degree"]),
        entry_count=int(document["entry_count"]),
        block_bytes=int(document["block_bytes"]),
        sections={name: sections[name] for name in SectionName if name in sections},
        navigation_checksum=int(document["navigation_checksum"]),
        build=dict(document["build"]),
        calibration=dict(document["calibration"]),
        exact=int(document.get("exact", 0)),
        lists=ListFormat.from_json(document["lists"]) if document.get("lists") else None,
        fast=FastFormat.from_json(document["fast"]) if document.get("fast") else None,
    )


def section_sizes(footer: Footer) -> dict[SectionName, int]:
    """The size in bytes of each section the kind has, in the order they lie in."""
    names = {
        SegmentKind.FLAT: [SectionName.NODES],
        SegmentKind.CODES: [SectionName.NODES, SectionName.CODES],
        SegmentKind.GRAPH: [SectionName.NODES, SectionName.CODES, SectionName.GRAPH],
    }[footer.kind]
    if footer.fine is not None:
        names.insert(2, SectionName.FINE)
    if footer.directions:
        names.append(SectionName.BASIS)
    if footer.centres:
        names.append(SectionName.CENTRES)
    if footer.lists:
        names.append(SectionName.LISTS)
    if footer.fast:
        names += [SectionName.FAST_BOOK, SectionName.FAST]
    layouts = {name: footer.layout(name) for name in names}
    sizes = {name: layout.blocks(footer.items(name)) * layout.block_bytes for name, layout in layouts.items()}
    if footer.kind is not SegmentKind.FLAT:
        sizes[SectionName.NAVIGATION] = 4 * (footer.dimension + footer.entry_count)
    if footer.exact:
        layout = footer.layout(SectionName.EXACT)
        sizes[SectionName.EXACT] = layout.blocks(footer.exact) * layout.block_bytes
    return sizes


def lay_out(sizes: Mapping[SectionName, int]) -> dict[SectionName, Section]:
    """Sections of those sizes, one after the other from byte 0, each at a page."""
    sections: dict[SectionName, Section] = {}
    offset = 0
    for name, size_bytes in sizes.items():
        sections[name] = Section(offset, size_bytes)
        offset = sections[name].end
    return sections


def _check(footer: Footer, offset: int) -> None:
    """Raises ValueError where numbers are out of range, or the sections are not those that follow from them."""
    has_codes = footer.kind is not SegmentKind.FLAT
    has_graph = footer.kind is SegmentKind.GRAPH
    limits = [
        ("rows", footer.rows, 0, ROWS_MAX),
        ("dimension", footer.dimension, 1, DIMENSION_MAX),
        ("codes", int(footer.codes is not None), int(has_codes), int(has_codes)),
        ("fine codes", int(footer.fine is not None), 0, int(has_codes and footer.directions > 0)),
        ("directions", footer.directions, 0, DIMENSION_MAX),
        ("lists", footer.lists.count if footer.lists else 0, 0, max(1, footer.rows) * has_codes),
        ("fast", int(footer.fast is not None), 0, int(footer.lists is not None)),
        ("exact", footer.exact, 0, min(EXACT_MAX, footer.rows) * has_codes),
        ("degree", footer.degree, int(has_graph), DEGREE_MAX * has_graph),
        ("entry_count", footer.entry_count, int(has_graph and footer.rows > 0), footer.rows * has_graph),
        ("block_bytes", footer.block_bytes, PAGE_BYTES, 2 * SWEEP_BLOCK_BYTES),
    ]
    for name, value, least, most in limits:
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}, not {least} to {most}")
    if footer.block_bytes % PAGE_BYTES or footer.layout(SectionName.NODES).items_per_block < 1:
        raise ValueError(f"blocks of {footer.block_bytes} bytes hold no node")
    if footer.sections != lay_out(section_sizes(footer)) or footer.offset != offset:
        raise ValueError("the sections are not where they have to be")
