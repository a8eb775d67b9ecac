"""What is in the golden index segments. ``python tests/support/golden_segment.py`` writes those of this version."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from pyroaring import BitMap
from support import nested_model
from support.nested_model import buffer_of
from support.parts import TestRow, part_of, schema_of
from support.segment_rows import plain_rows
from support.segments import lattice

from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment
from lutra.segments.deletions import write_deletions
from lutra.segments.footer import FORMAT_VERSION
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

SCHEMA: Final = schema_of(6)
PLANS: Final = {
    "v": BuildPlan(SegmentKind.GRAPH, 4, degree=6, beam=20),
    "w": BuildPlan(SegmentKind.FLAT, 4),
}
DEAD: Final = [0, 7, 59]


def golden_rows() -> list[TestRow]:
    """Every third has values that are older than its newest cell."""
    return [
        replace(row, oldest_ms=row.newest_ms - 1_000 * number) if number % 3 == 2 else row
        for number, row in enumerate(plain_rows(60))
    ]


def nested_rows() -> list[tuple[int, dict[str, Any]]]:
    """Rows of `support.nested_model`: every fourth without items."""
    vectors = lattice(40, 2).tolist()

    def items(n: int) -> list[dict[str, Any]]:
        parts = [{"x": n / 4, "k": f"k{n % 5}", "deepest": [{"ok": n % 2 == 0}] * (n % 3)}]
        return [
            {"price": n + at, "tags": ["all", f"t{at}"], "words": f"word {n}", "v": vectors[n], "parts": parts * at}
            for at in range(n % 4)
        ]

    def flat(n: int) -> dict[str, Any]:
        return {"n": n, "v": vectors[n], "in": [{"x": n}, {"x": 0.5}], "docs": [{"k": "one"}] * (n % 2)}

    return [(n, {"n": n, "items": json.dumps(items(n)), "j": json.dumps(flat(n))}) for n in range(40)]


def golden_name(suffix: str, version: int) -> str:
    """Of a file in tests/segments/golden: a ``segment``, one without a graph (``flat``), one with documents within rows
    (``nested``, from version 3 on), or ``deletions``."""
    return f"v{version}.{suffix}"


def write(folder: Path) -> None:
    """Writes the files of this version; those that are there are left alone."""
    part = part_of(SCHEMA, golden_rows())
    for suffix, plans in (("segment", PLANS), ("flat", {"w": PLANS["w"]})):
        target = folder / golden_name(suffix, FORMAT_VERSION)
        if not target.exists():
            build_segment(target, [part], SCHEMA, plans=plans)
    target = folder / golden_name("nested", FORMAT_VERSION)
    if not target.exists():
        build_segment(target, [buffer_of(nested_rows()).view()], nested_model.SCHEMA)
    with tempfile.TemporaryDirectory() as scratch:
        store = LocalStore(scratch)
        write_deletions(store, "deletions", BitMap(DEAD))
        target = folder / golden_name("deletions", FORMAT_VERSION)
        if not target.exists():
            target.write_bytes(store.get("deletions"))


if __name__ == "__main__":
    golden = Path(__file__).parents[1] / "segments" / "golden"
    golden.mkdir(exist_ok=True)
    write(golden)
