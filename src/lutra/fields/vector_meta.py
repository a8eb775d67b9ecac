"""What the footer of a segment says of the vectors of one field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lutra.fields.sections import Section
from lutra.vectors.calibration import Fallback
from lutra.vectors.layout import SegmentKind


@dataclass(frozen=True, slots=True)
class VectorsMeta:
    """The vectors of one field: what the footer says of section VECTORS."""

    field: str
    dimension: int
    rows: int
    """Documents that have one."""
    kind: SegmentKind
    bytes: Mapping[str, int]
    """Of the vector segment's sections, by name; its footer under ``footer``."""
    recall: float | None = None
    """Of the ten nearest, as the build's check found it; None where it was not checked, or is 1 as all are compared."""
    fallback: Fallback = Fallback.NONE
    """What searches do because their plan was found to miss too much."""
    exact_rows: int = 0
    """That every search compares, as codes do not describe them."""

    @property
    def code_bytes(self) -> int:
        """Of codes, the finer ones and the basis they lie along included."""
        return sum(self.bytes.get(name, 0) for name in ("codes", "fine", "basis"))

    @property
    def resident_bytes(self) -> int:
        """Memory that searching them takes at most where there is plenty: codes, graph and rows kept exact."""
        return self.code_bytes + self.bytes.get("graph", 0) + self.bytes.get("exact", 0)


def vectors_json(meta: VectorsMeta) -> dict[str, Any]:
    """The meta of a section VECTORS."""
    described = {"rows": meta.rows, "dimension": meta.dimension, "kind": meta.kind.value, "bytes": dict(meta.bytes)}
    checked = {} if meta.recall is None else {"recall": meta.recall, "fallback": meta.fallback.value}
    exact = {"exact_rows": meta.exact_rows} if meta.exact_rows else {}
    return described | checked | exact


def vectors_meta(section: Section) -> VectorsMeta:
    """What a section VECTORS says. Raises LookupError, TypeError or ValueError where that is none."""
    meta = section.meta
    sizes = {str(name): int(size_bytes) for name, size_bytes in meta["bytes"].items()}
    return VectorsMeta(
        section.field,
        int(meta["dimension"]),
        int(meta["rows"]),
        SegmentKind(meta["kind"]),
        sizes,
        # Of a segment built before these were told: nothing is known.
        meta.get("recall"),
        Fallback(meta.get("fallback", Fallback.NONE)),
        int(meta.get("exact_rows", 0)),
    )
