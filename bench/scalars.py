"""Scalar columns and keys of a segment: predicates, sorts, look-ups of keys, building and merging, bytes and memory.

python -m bench.scalars [--rows N] [--quick] [--json FILE]

Columns and keys are written to one file in the current folder's file system and read through a block cache that holds
all of it ("warm"), on one thread. Predicates give a bool mask over all rows; beside each stands what comparing a numpy
array of the column takes, and making the mask of the answer kept ready as a serialized roaring bitmap, which is the
least that postings kept as roaring bitmaps could take.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from lutra.kernels.blocks import BlockCache
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import SortMode
from lutra.scalars.elements import Elements, merged
from lutra.scalars.pages import PageReader, Pages, PageWriter
from lutra.scalars.segment_column import SegmentColumn, write_column
from lutra.scalars.segment_keys import SegmentKeys, write_keys

Mask = npt.NDArray[np.bool_]
Results = list[dict[str, Any]]

SHARES = (0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9)


def median_us(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call in µs, once warm."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e6


def columns(rows: int) -> dict[str, tuple[FieldSchema, Elements]]:
    """One of each kind, seeded."""
    generator = np.random.default_rng(11)

    def words(count: int, form: str) -> list[bytes]:
        return [form.format(i).encode() for i in range(count)]

    def field(name: str, kind: FieldType, is_array: bool = False) -> FieldSchema:
        formats = ("epoch_nanos",) if kind is FieldType.DATE else ()
        return FieldSchema(name, kind, is_array=is_array, date_formats=formats)

    skewed = (generator.random(rows) ** 3 * 10).astype(np.int32)
    some = np.flatnonzero(generator.random(rows) < 0.8).astype(np.int32)
    tagged = np.repeat(np.arange(rows, dtype=np.int32), generator.integers(0, 6, rows))
    seconds = generator.integers(0, 3 * 365 * 86_400, rows) * 1_000_000_000 + 1_700_000_000_000_000_000
    return {
        "long, all distinct": (field("a", FieldType.LONG), Elements(None, generator.permutation(rows) * 7_919)),
        "long, 1,000 distinct": (field("b", FieldType.LONG), Elements(None, generator.integers(0, 1_000, rows))),
        "double": (field("c", FieldType.DOUBLE), Elements(None, generator.random(rows))),
        "date, 80 % of rows": (field("d", FieldType.DATE), Elements(some, seconds[some])),
        "boolean": (field("e", FieldType.BOOLEAN), Elements(None, generator.random(rows) < 0.3)),
        "keyword, 10 distinct": (field("f", FieldType.KEYWORD), Elements(None, skewed, words(10, "kind-{:02}"))),
        "keyword, 10,000 distinct": (
            field("g", FieldType.KEYWORD),
            Elements(None, generator.integers(0, 10_000, rows).astype(np.int32), words(10_000, "product-{:08}")),
        ),
        "keyword, all distinct": (
            field("h", FieldType.KEYWORD),
            Elements(None, generator.permutation(rows).astype(np.int32), words(rows, "https://host/path/{:09}")),
        ),
        "tags, 0 to 5 of 1,000": (
            field("i", FieldType.KEYWORD, is_array=True),
            Elements(tagged, generator.integers(0, 1_000, len(tagged)).astype(np.int32), words(1_000, "tag-{:04}")),
        ),
    }


@contextmanager
def written(rows: int) -> Iterator[tuple[Path, dict[str, Any], Results]]:
    """A file with all columns and keys, their metas, and what writing took."""
    metas: dict[str, Any] = {}
    results: Results = []
    with tempfile.NamedTemporaryFile(dir=Path.cwd(), prefix="bench-scalars-") as file:

        def append(pages: Pages) -> None:
            file.write(pages.data)

        writer = PageWriter(append)

        def report(name: str, write: Callable[[], dict[str, Any]]) -> None:
            place, begin = writer.size_bytes, time.perf_counter()
            metas[name] = write()
            took_us = (time.perf_counter() - begin) * 1e6
            bytes_a_row = (writer.size_bytes - place) / rows
            meta_bytes = len(json.dumps(metas[name]))
            result = {"of": name, "what": "write", "us": took_us, "bytes_a_row": bytes_a_row, "meta_bytes": meta_bytes}
            results.append(result)

        for name, (field, elements) in columns(rows).items():
            report(name, partial(write_column, writer, field, rows, elements))
        keys = keys_of(rows)
        report("keys", lambda: write_keys(writer, keys))
        writer.finish()
        file.flush()
        yield Path(file.name), metas, results


def keys_of(rows: int) -> list[bytes]:
    """As `lutra.tables.keys` encodes a string and an integer."""
    return [b"user-%08d\0\0" % (i // 4) + (2**63 + i % 4 * 1_000).to_bytes(8, "big") for i in range(rows)]


def predicates(
    column: SegmentColumn, elements: Elements
) -> Iterator[tuple[str, Callable[[], RowMask], Callable[[], Any]]]:
    """Name, the column's way, and numpy's way over the values in memory (their documents left out)."""
    values = elements.values
    distinct, counts = np.unique(values, return_counts=True)
    strings = elements.strings

    def operand(value: Any) -> Any:
        return strings[value].decode() if strings is not None else value.item()

    common, rare = distinct[counts.argmax()], distinct[counts.argmin()]
    ten = distinct[:: max(1, len(distinct) // 10)][:10]
    yield "term, most common", lambda: column.equals(operand(common)).mask(), lambda: values == common
    yield "term, rarest", lambda: column.equals(operand(rare)).mask(), lambda: values == rare
    yield "terms (10)", lambda: column.one_of([operand(v) for v in ten]).mask(), lambda: np.isin(values, ten)
    yield "exists", lambda: column.exists().mask(), lambda: np.ones(len(values), bool)
    ordered = np.sort(values)
    for share in SHARES:
        begin = int(len(ordered) * (1 - share) / 2)
        low, high = ordered[begin], ordered[begin + max(0, int(len(ordered) * share) - 1)]
        yield (
            f"range {share * 100:g} %",
            lambda low=low, high=high: column.between(operand(low), operand(high)).mask(),  # type: ignore[misc]
            lambda low=low, high=high: (values >= low) & (values <= high),  # type: ignore[misc]
        )
    if strings is not None:
        prefix = strings[len(strings) // 2].decode()[:-2]
        chosen = np.array([s.startswith(prefix.encode()) for s in strings])
        yield "prefix", lambda: column.starts_with(prefix).mask(), lambda: chosen[values]


def roaring_us(mask: Mask, seconds: float) -> float:
    """A mask made from its serialized roaring bitmap."""
    data = BitMap(np.flatnonzero(mask).astype(np.uint32)).serialize()

    def make() -> Mask:
        result = np.zeros(len(mask), bool)
        result[np.frombuffer(BitMap.deserialize(data).to_array(), np.uint32)] = True
        return result

    return median_us(make, seconds)


def measure_column(name: str, column: SegmentColumn, elements: Elements, seconds: float) -> Results:
    results: Results = []
    for what, ours, numpy_way in predicates(column, elements):
        mask = ours()
        result: dict[str, Any] = {"of": name, "what": what, "matches": mask.count}
        result["us"] = median_us(ours, seconds)
        result["numpy_us"] = median_us(numpy_way, seconds)
        result["roaring_us"] = roaring_us(mask.bools(), seconds)
        results.append(result)

    def report(what: str, call: Callable[[], object]) -> None:
        results.append({"of": name, "what": what, "us": median_us(call, seconds)})

    docs = np.arange(column.size, dtype=np.int32)
    renumber = np.where(docs % 10 == 0, -1, docs).astype(np.int32)
    report("sort keys", lambda: column.sort_keys(SortMode.MIN))
    report("value", lambda: column.value(column.size // 3))
    begin = time.perf_counter()
    merged([column.elements(renumber), column.elements(renumber)])
    results.append({"of": name, "what": "merge of two", "us": (time.perf_counter() - begin) * 1e6})
    results.append({"of": name, "what": "kept in memory", "bytes": column.resident_bytes})
    return results


def measure_keys(keys: SegmentKeys, rows: int) -> Results:
    results: Results = []
    stored = keys_of(rows)
    generator = np.random.default_rng(13)
    present = [stored[i] for i in generator.integers(0, rows, min(rows, 200_000)).tolist()]
    absent = [key[:-1] + b"\x07" for key in present]
    for batch in (200, 10_000):
        for name, sought in (("present", present), ("absent", absent)):
            keys.find(sought[:batch])
            begin = time.perf_counter()
            for at in range(0, len(sought), batch):
                keys.find(sought[at : at + batch])
            rate = len(sought) / (time.perf_counter() - begin)
            results.append({"of": "keys", "what": f"find {name}, {batch} at once", "keys_a_s": rate})
    docs = generator.integers(0, rows, 100)
    results.append({"of": "keys", "what": "keys of 100 documents", "us": median_us(lambda: keys.keys(docs), 0.1)})
    results.append({"of": "keys", "what": "place", "us": median_us(lambda: keys.place(present[5]), 0.1)})
    begin = time.perf_counter()
    count = sum(map(len, keys.blocks()))
    results.append({"of": "keys", "what": "all in order", "keys_a_s": count / (time.perf_counter() - begin)})
    results.append({"of": "keys", "what": "kept in memory", "bytes": keys.state_bytes})
    return results


def show(results: Results) -> None:
    """As a table."""
    print(f"{'of':26} {'what':28} {'matches':>9} {'us':>10} {'numpy us':>10} {'roaring us':>10}  other")
    for result in results:
        figures = [result.get(name) for name in ("us", "numpy_us", "roaring_us")]
        shown = " ".join(f"{'' if figure is None else f'{figure:,.0f}':>10}" for figure in figures)
        known = {"of", "what", "matches", "us", "numpy_us", "roaring_us"}
        other = ", ".join(f"{name} {value:,.6g}" for name, value in result.items() if name not in known)
        print(f"{result['of']:26} {result['what']:28} {result.get('matches', ''):>9} {shown}  {other}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    seconds = 0.02 if arguments.quick else 0.2
    with written(arguments.rows) as (path, metas, results):
        cache = BlockCache(2 * path.stat().st_size + (64 << 20))
        reader = PageReader(cache.open_file(path, checksums=True), "scalars")
        for name, (field, elements) in columns(arguments.rows).items():
            column = SegmentColumn(reader, field, metas[name], arguments.rows)
            results += measure_column(name, column, elements, seconds)
        results += measure_keys(SegmentKeys(reader, metas["keys"]), arguments.rows)
        cache.close()
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
