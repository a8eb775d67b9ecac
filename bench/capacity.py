"""What many vectors take, from measured constants: memory, disk, objects, builds, requests, money, nodes.

python -m bench.capacity [--json FILE] [--check DATA --instance NAME --table NAME] [--build ROWS --dim 128]

The whole model is here. Its constants were measured (docs/figures.md, docs/scale.md); all else is computed. The tables
of docs/scale.md are its output. ``--check`` opens a data directory that nobody changes, only to read it, and measures
what the model predicts of it: bytes of objects, bytes of codes and graphs in memory, reads of a search. ``--build``
makes a table of so many rows of `bench.ann`'s ``--hard`` in a temporary folder, waits until nothing is left to build,
and measures that and what its builders took.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import math
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import lutra
from bench.ann import data
from bench.index_state import IndexWatch
from lutra.index.lsm.manifest import Manifest
from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog

PAGE_BYTES: Final = 4_096
CACHE_SHARE: Final = 0.25
"""Of a node's memory for segments; the rest is of codes and graphs (docs/figures.md, 50 million rows)."""
PARTITION_ROWS: Final = 3_000_000
"""On average: one is split at 4 million (`lutra.cluster.splits.policy`), into two."""
SEGMENTS: Final = 10
"""Of such a partition, once it is settled (the policy played through)."""
SEGMENT_MS: Final = 0.44
"""Processor time of a search in one segment: 0.24 in the engine, 0.2 of Python."""
PARTITION_MS: Final = 0.9
"""Of one more partition asked over HTTP: a search over the wire, less the engine's time."""
READS: Final = 9.0
READS_A_SEGMENT: Final = 4.6
"""Vectors compared exactly by a search, each one block, and so many more for each segment: they share a bound."""
NODE_GB: Final = 64
NODE_CORES: Final = 16
NODE_MEMORY_SHARE: Final = 0.75
"""For segments; the rest is of rows' caches, buffers and Python."""
COMMIT_ROWS: Final = 200
"""In one commit, where rows come in batches."""
MANIFEST_ROWS: Final = 20_000
"""Written by one manifest, which takes a segment, a put and a list."""

DOLLARS_A_GB_MONTH: Final = 0.023
DOLLARS_A_MILLION_WRITES: Final = 5.0
DOLLARS_A_MILLION_READS: Final = 0.4
"""S3 Standard, us-east-1, 2026: puts and lists; gets."""


@dataclass(frozen=True, slots=True)
class Constants:
    """Measured of vectors of one dimension. ``resident_bytes``, ``stored_bytes``: codes and graph, in memory and on the
    store; ``other_bytes``: keys and columns in segments; ``row_bytes``: of the table's row; ``build_us``: processor
    time of all builds of a row, of 100,000 rows and of 50 million."""

    dimension: int
    resident_bytes: float
    stored_bytes: float
    other_bytes: float
    row_bytes: float
    build_us_small: float
    build_us_large: float


MEASURED: Final = (
    Constants(128, 296, 463, 51, 538, 120, 648),
    Constants(960, 400, 403, 51, 3_866, 480, 1_620),
)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of so many vectors of one dimension in a cluster."""

    vectors: float
    dimension: int
    partitions: int
    resident_gb: float
    object_gb: float
    row_gb: float
    build_core_hours: float
    nodes: int
    query_core_ms: float
    """Of a search that asks all partitions."""
    query_reads: float
    queries_a_second: float
    """Of the whole cluster, where a search asks all partitions and nothing else is done."""
    storage_dollars_a_month: float
    million_rows_dollars: float
    """To write a million rows: requests."""
    million_queries_dollars: float
    """Where no vector is in a cache: requests."""


def constants_of(dimension: int) -> Constants:
    """Between those that were measured, or beyond them, along a line."""
    low, high = MEASURED
    at = (dimension - low.dimension) / (high.dimension - low.dimension)
    values = {
        field.name: getattr(low, field.name) + at * (getattr(high, field.name) - getattr(low, field.name))
        for field in dataclasses.fields(Constants)
    }
    return Constants(**{**values, "dimension": dimension})


def vector_bytes(dimension: int) -> float:
    """On the store: no vector lies over the edge of a page unless it is longer than one."""
    size = 4 * dimension
    return PAGE_BYTES / (PAGE_BYTES // size) if size <= PAGE_BYTES else math.ceil(size / PAGE_BYTES) * PAGE_BYTES


def object_bytes(dimension: int, other_bytes: float | None = None) -> float:
    """Of a row in a segment with a graph."""
    constants = constants_of(dimension)
    other = constants.other_bytes if other_bytes is None else other_bytes
    return vector_bytes(dimension) + constants.stored_bytes + other


def build_us(dimension: int, rows: float) -> float:
    """Processor time of all builds of a row in a partition of so many: grows with the logarithm."""
    constants = constants_of(dimension)
    at = math.log10(rows / 1e5) / math.log10(5e7 / 1e5)
    return constants.build_us_small + at * (constants.build_us_large - constants.build_us_small)


def predict(vectors: float, dimension: int) -> Prediction:
    """What so many vectors take."""
    constants = constants_of(dimension)
    partitions = max(1, round(vectors / PARTITION_ROWS))
    resident_gb = vectors * constants.resident_bytes / 1e9
    object_gb, row_gb = vectors * object_bytes(dimension) / 1e9, vectors * constants.row_bytes / 1e9
    nodes = max(3, math.ceil(resident_gb / (1 - CACHE_SHARE) / (NODE_GB * NODE_MEMORY_SHARE)))
    query_core_ms = partitions * (SEGMENTS * SEGMENT_MS + PARTITION_MS)
    query_reads = partitions * (READS + SEGMENTS * READS_A_SEGMENT)
    writes = 1e6 / COMMIT_ROWS + 2 * 1e6 / MANIFEST_ROWS + 1e6 / MANIFEST_ROWS
    return Prediction(
        vectors,
        dimension,
        partitions,
        resident_gb,
        object_gb,
        row_gb,
        vectors * build_us(dimension, min(vectors, PARTITION_ROWS)) / 1e6 / 3_600,
        nodes,
        query_core_ms,
        query_reads,
        nodes * NODE_CORES * 1_000 / query_core_ms,
        (object_gb + row_gb) * DOLLARS_A_GB_MONTH,
        writes * DOLLARS_A_MILLION_WRITES / 1e6,
        query_reads * DOLLARS_A_MILLION_READS,
    )


PREDICTED: Final = tuple((vectors, dimension) for dimension in (128, 960) for vectors in (1e9, 1e10, 1e11))


@dataclass(frozen=True, slots=True)
class Check:
    """What the model predicts of one run, and what was measured."""

    what: str
    run: str
    predicted: float
    measured: float
    unit: str

    @property
    def off(self) -> float:
        """How much the prediction is above what was measured, as a share of that."""
        return self.predicted / self.measured - 1


def check_run(name: str, rows: int, dimension: int, measured: dict[str, float]) -> list[Check]:
    """``measured``: what ``--check`` and ``--build`` print, by name."""
    of = constants_of(dimension)
    predicted = {
        "object_bytes": (object_bytes(dimension, measured.get("other_bytes")), "bytes of objects a row", "bytes"),
        "resident_bytes": (of.resident_bytes, "codes and graphs in memory a row", "bytes"),
        "build_s": (build_us(dimension, rows) * rows / 1e6, "processor time of all builds", "s"),
        "reads": (READS + measured.get("segments", 0.0) * READS_A_SEGMENT, "vectors read a search", ""),
    }
    return [
        Check(what, name, value, measured[key], unit)
        for key, (value, what, unit) in predicted.items()
        if key in measured
    ]


RUNS: Final[tuple[tuple[str, int, int, dict[str, float]], ...]] = (
    (
        "1,001,024 × 384, 35 segments",
        1_001_024,
        384,
        {"segments": 35, "object_bytes": 2_521.7, "other_bytes": 84.4, "resident_bytes": 388.8, "reads": 173.1},
    ),
    (
        "200,000 × 128, 4 segments",
        200_000,
        128,
        {
            "segments": 4,
            "object_bytes": 996.2,
            "other_bytes": 21.4,
            "resident_bytes": 290.7,
            "reads": 30.1,
            "build_s": 36.9,
        },
    ),
)
"""What was measured to check it: the run, its rows and dimension, and what ``--check`` or ``--build`` printed."""


def measure(folder: Path, instance: str, table_name: str, memory_bytes: int = 2 << 30) -> dict[str, float]:
    """Of a table's search index in a data directory that nobody writes to."""
    objects = LocalStore(folder / "objects", is_read_only=True)
    prefix = next("/".join(name.split("/")[:2]) for name in objects.list("indexes"))
    newest = ManifestLog(objects, f"{prefix}/manifest").latest()
    assert newest is not None, f"{folder} has no index"
    segments = Manifest.from_json(newest.payload).segments
    rows = sum(entry.shape.rows for entry in segments)
    with lutra.connect(folder, instance=instance, read_only=True, memory_bytes=memory_bytes) as database:
        table = database.table(table_name)
        field = next(name for name, kind in table.fields.items() if type(kind).__name__ == "Vector")
        vectors = [row[field] for row in table.head(150)]
        cache = next(held for held in gc.get_objects() if isinstance(held, BlockCache))
        for vector in vectors[:100]:
            table.search(vector, columns=[])
        before = cache.counters()
        for vector in vectors[100:]:
            table.search(vector, columns=[])
        after = cache.counters()
    kinds = after.kinds
    reads = kinds[BlockKind.VECTORS].reads - before.kinds[BlockKind.VECTORS].reads
    hits = kinds[BlockKind.VECTORS].hits - before.kinds[BlockKind.VECTORS].hits
    return {
        "rows": rows,
        "dimension": segments[0].shape.vectors[0].dimension,
        "segments": len(segments),
        "object_bytes": sum(entry.shape.bytes for entry in segments) / rows,
        "other_bytes": sum(entry.shape.scalar_bytes for entry in segments) / rows,
        "resident_bytes": kinds[BlockKind.METADATA].bypass_bytes / rows,
        "reads": (reads + hits) / len(vectors[100:]),
    }


def build(data_dir: Path, rows: int, dimension: int) -> dict[str, float]:
    """Makes a table of so many vectors, and measures that and the processor time that its builders took."""
    with lutra.connect(data_dir) as database:
        table = database.create_table("t", key={"id": int}, fields={"v": lutra.Vector(dimension), "n": int})
        vectors = data.rows(data.hard(dimension), rows)
        for begin in range(0, rows, 5_000):
            batch = enumerate(vectors[begin : begin + 5_000], begin)
            table.put_many({"id": number, "v": vector, "n": number % 1_000} for number, vector in batch)
        IndexWatch(data_dir).wait(lambda state: state.rows == rows and state.is_settled, timeout_s=3_600)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return measure(data_dir, "default", "t") | {"build_s": children.ru_utime + children.ru_stime}


def table_of_predictions(predictions: Sequence[Prediction]) -> str:
    """In Markdown."""
    lines = [
        "| vectors | partitions | codes and graphs in memory | segments | rows | builds, core hours | nodes |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in predictions:
        lines.append(
            f"| {each.vectors:.0e} × {each.dimension} | {each.partitions:,} | {_size(each.resident_gb)} "
            f"| {_size(each.object_gb)} | {_size(each.row_gb)} | {each.build_core_hours:,.0f} | {each.nodes:,} |"
        )
    return "\n".join(lines).replace("e+0", "e").replace("e+1", "e1")


def table_of_costs(predictions: Sequence[Prediction]) -> str:
    """In Markdown."""
    lines = [
        "| vectors | a search of all partitions, core ms | searches a second, all nodes | reads of it "
        "| $ a month, stored | $ a million rows written | $ a million such searches, nothing cached |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in predictions:
        lines.append(
            f"| {each.vectors:.0e} × {each.dimension} | {each.query_core_ms:,.0f} | {each.queries_a_second:,.0f} "
            f"| {each.query_reads:,.0f} | {each.storage_dollars_a_month:,.0f} | {each.million_rows_dollars:.3f} "
            f"| {each.million_queries_dollars:,.0f} |"
        )
    return "\n".join(lines).replace("e+0", "e").replace("e+1", "e1")


def table_of_checks(checks: Sequence[Check]) -> str:
    """In Markdown."""
    lines = ["| | run | predicted | measured | off |", "|---|---|---|---|---|"]
    for each in checks:
        unit = f" {each.unit}" if each.unit else ""
        lines.append(
            f"| {each.what} | {each.run} | {each.predicted:,.0f}{unit} | {each.measured:,.0f}{unit} "
            f"| {100 * each.off:+.0f} % |"
        )
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """Those of docs/scale.md, by name."""
    predictions = [predict(*each) for each in PREDICTED]
    checks = [check for run in RUNS for check in check_run(*run)]
    return {
        "sizes": table_of_predictions(predictions),
        "costs": table_of_costs(predictions),
        "checks": table_of_checks(checks),
    }


def _size(gigabytes: float) -> str:
    return f"{gigabytes / 1e3:,.1f} TB" if gigabytes >= 1e3 else f"{gigabytes:,.0f} GB"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", type=Path, metavar="DATA")
    parser.add_argument("--instance", default="default")
    parser.add_argument("--table")
    parser.add_argument("--build", type=int, metavar="ROWS")
    parser.add_argument("--dim", type=int, default=128)
    given = parser.parse_args()
    if given.check:
        _print_run(str(given.check), measure(given.check, given.instance, given.table))
        return
    if given.build:
        with tempfile.TemporaryDirectory() as folder:
            _print_run("a build", build(Path(folder), given.build, given.dim))
        return
    for name, table in tables().items():
        print(f"\n{name}\n\n{table}")
    if given.json:
        told: dict[str, Any] = {
            "predictions": [asdict(predict(*each)) for each in PREDICTED],
            "checks": [asdict(check) for run in RUNS for check in check_run(*run)],
        }
        given.json.write_text(json.dumps(told, indent=1))


def _print_run(name: str, found: dict[str, float]) -> None:
    print(found)
    print(table_of_checks(check_run(name, int(found["rows"]), int(found["dimension"]), found)))


if __name__ == "__main__":
    main()
