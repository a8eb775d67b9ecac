"""Full text: index rate, bytes a text, and the ten best of words and phrases, beside tantivy in the same run.

python -m bench.text [--rows N] [--quick] [--json FILE]

Texts are made of runs of words out of the docstrings of the Python library and of the packages installed here, so words
are as frequent, and follow each other, as they do there; three in ten have a word that no other has. Rows are analyzed
(single_word), put into buffers of 100,000, written as a segment each, and merged into one. Both engines run on one
thread, and read what memory holds: Lutra through a block cache that has room for all of it, tantivy from its folder.
Queries take their words from texts at random. BM25 is the same but for tantivy's lengths, which it rounds: "same" says
how many of the ten best are. tantivy keeps no text, and the filter is a term of each hundredth row; what it takes to
learn the numbers of rows is not counted.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import FieldSchema, FieldType
from lutra.scalars.pages import PAGE_BYTES, PageWriter
from lutra.text.column import TextColumn
from lutra.text.part import TextPart
from lutra.text.segment_text import SegmentText
from lutra.text.writer import write_text

FIELD = FieldSchema("t", FieldType.TEXT)
BUFFER_ROWS = 100_000
K = 10
FILTER_SHARE = 100

Query = list[str]
Hits = list[int]


def corpus(words_max: int = 3_000_000) -> list[str]:
    """The words of docstrings, in their order."""
    words: list[str] = []
    folders = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
    for path in sorted({path for folder in folders for path in folder.rglob("*.py")}):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                words += re.findall("[a-z0-9]+", (ast.get_docstring(node, clean=False) or "").lower())
        if len(words) > words_max:
            break
    return words


def texts_of(words: Sequence[str], rows: int) -> list[str]:
    """Of two to six runs of four to twelve words each."""
    random = np.random.default_rng(7)
    texts = []
    for row in range(rows):
        runs = [
            words[begin : begin + length]
            for begin, length in zip(
                random.integers(0, len(words) - 12, random.integers(2, 7)).tolist(),
                random.integers(4, 13, 6).tolist(),
                strict=False,
            )
        ]
        text = [word for run in runs for word in run]
        if random.random() < 0.3:
            text.append(f"id{row:x}")
        texts.append(" ".join(text))
    return texts


def queries_of(texts: Sequence[str], count: int) -> dict[str, list[Query]]:
    random = np.random.default_rng(8)

    def taken(words: int) -> list[Query]:
        chosen = (texts[i].split() for i in random.integers(0, len(texts), count).tolist())
        return [random.choice(text, words, replace=False).tolist() for text in chosen if len(text) >= words]

    def run(words: int) -> list[Query]:
        chosen = (texts[i].split() for i in random.integers(0, len(texts), count).tolist())
        return [text[:words] for text in chosen]

    words = {"one word": taken(1), "two words": taken(2), "five words": taken(5)}
    return words | {"phrase of two": run(2), "phrase of three": run(3)}


class Lutra:
    """One segment of all rows."""

    def __init__(self, texts: Sequence[str], folder: Path) -> None:
        self.figures: dict[str, Any] = {}
        self.cache = BlockCache(1 << 30)
        column_s = write_s = 0.0
        segments: list[TextPart] = []
        buffer_bytes = 0
        for first in range(0, len(texts), BUFFER_ROWS):
            chunk = texts[first : first + BUFFER_ROWS]
            begin = time.perf_counter()
            column = TextColumn(FIELD)
            for doc, text in enumerate(chunk):
                column.stage(doc, text)
            column.publish()
            column_s += time.perf_counter() - begin
            buffer_bytes = max(buffer_bytes, column.size_bytes // len(chunk))
            begin = time.perf_counter()
            segments.append(self._written(folder / f"segment{first}", [column.view(len(chunk))]))
            write_s += time.perf_counter() - begin
        begin = time.perf_counter()
        self.part = self._written(folder / "merged", segments)
        self.figures = {
            "buffered_texts_a_s": len(texts) / column_s,
            "written_texts_a_s": len(texts) / write_s,
            "merged_texts_a_s": len(texts) / (time.perf_counter() - begin),
            "index_texts_a_s": len(texts) / (column_s + write_s),
            "bytes_a_text": (folder / "merged").stat().st_size / len(texts),
            "buffer_bytes_a_text": buffer_bytes,
        }
        self.mask = RowMask(np.arange(len(texts)) % FILTER_SHARE == 7)

    def _written(self, path: Path, parts: Sequence[TextPart]) -> SegmentText:
        size = sum(part.size for part in parts)
        begins = np.cumsum([0, *(part.size for part in parts)])
        renumber = [np.arange(a, b, dtype=np.int32) for a, b in pairwise(begins)]
        with path.open("wb") as file:
            pages = PageWriter(lambda pages: file.write(pages.data))
            meta = write_text(pages.write, size, parts, renumber)
            pages.finish()
        blocks = self.cache.open_file(path, PAGE_BYTES, kind=BlockKind.COLUMNS, checksums=True)
        return SegmentText(blocks, "text of t", FIELD, meta, size)

    def rows(self, docs: Any) -> Hits:
        return docs.tolist()  # type: ignore[no-any-return]

    def best(self, words: Query, is_filtered: bool = False, needed: int = 1) -> Any:
        statistics = self.part.statistics(words)
        mask = self.mask if is_filtered else None
        docs, _ = self.part.topk(words, statistics.idf, statistics.average_length, needed, K, mask)
        return docs

    def phrase(self, words: Query) -> Any:
        statistics = self.part.statistics(words)
        docs = self.part.phrase(words, range(len(words))).ids()
        idf = float(statistics.idf.sum())
        scores = self.part.phrase_scores(words, range(len(words)), 0, idf, statistics.average_length, docs)
        return docs[np.lexsort((docs, -scores))[:K]]


class Tantivy:
    """The same rows, in one segment."""

    def __init__(self, module: Any, texts: Sequence[str], folder: Path) -> None:
        self._module = module
        builder = module.SchemaBuilder()
        builder.add_text_field("t", stored=False, tokenizer_name="default", index_option="position")
        builder.add_text_field("g", stored=False, tokenizer_name="raw", index_option="basic")
        builder.add_integer_field("row", stored=True, fast=True)
        self._schema = builder.build()
        path = folder / "tantivy"
        path.mkdir()
        index = module.Index(self._schema, path=str(path))
        begin = time.perf_counter()
        writer = index.writer(heap_size=1_000_000_000, num_threads=1)
        for row, text in enumerate(texts):
            writer.add_document(module.Document(t=[text], g=[f"g{row % FILTER_SHARE}"], row=row))
        writer.commit()
        writer.wait_merging_threads()
        self.figures = {"index_texts_a_s": len(texts) / (time.perf_counter() - begin)}
        index.reload()
        self._searcher = index.searcher()
        kinds = ("*.term", "*.idx", "*.pos", "*.fieldnorm")
        held = sum(file.stat().st_size for kind in kinds for file in path.glob(kind))
        self.figures["bytes_a_text"] = held / len(texts)
        self.figures["segments"] = self._searcher.num_segments

    def _term(self, word: str, field: str = "t") -> Any:
        return self._module.Query.term_query(self._schema, field, word)

    def _found(self, query: Any) -> Any:
        return self._searcher.search(query, K, count=False).hits

    def rows(self, hits: Any) -> Hits:
        return [self._searcher.doc(address)["row"][0] for _, address in hits]

    def best(self, words: Query, is_filtered: bool = False, needed: int = 1) -> Any:
        query, occur = self._module.Query, self._module.Occur
        kind = occur.Must if needed > 1 else occur.Should
        any_word = query.boolean_query([(kind, self._term(word)) for word in words])
        if is_filtered:
            counting = query.const_score_query(self._term("g7", "g"), 0.0)
            any_word = query.boolean_query([(occur.Must, any_word), (occur.Must, counting)])
        return self._found(any_word)

    def phrase(self, words: Query) -> Any:
        return self._found(self._module.Query.phrase_query(self._schema, "t", list(words)))


def timed(ask: Callable[[Query], Any], queries: Sequence[Query], rounds: int) -> tuple[dict[str, float], list[Any]]:
    """What each query took, in ms, once all were asked before; and what they found."""
    found = [ask(query) for query in queries]
    times = []
    for _ in range(rounds):
        for query in queries:
            begin = time.perf_counter()
            ask(query)
            times.append((time.perf_counter() - begin) * 1e3)
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return {"p50_ms": float(p50), "mean_ms": float(np.mean(times)), "p99_ms": float(p99)}, found


def measured(engines: dict[str, Any], queries: dict[str, list[Query]], rounds: int) -> list[dict[str, Any]]:
    asked: dict[str, tuple[str, Callable[[Any], Callable[[Query], Any]]]] = {
        "one word": ("one word", lambda engine: engine.best),
        "two words": ("two words", lambda engine: engine.best),
        "five words": ("five words", lambda engine: engine.best),
        "both of two words": ("two words", lambda engine: lambda words: engine.best(words, needed=2)),
        "two words, filter 1 %": ("two words", lambda engine: lambda words: engine.best(words, True)),
        "phrase of two": ("phrase of two", lambda engine: engine.phrase),
        "phrase of three": ("phrase of three", lambda engine: engine.phrase),
    }
    results = []
    for what, (kind, ask) in asked.items():
        first: list[Hits] | None = None
        for name, engine in engines.items():
            figures, answers = timed(ask(engine), queries[kind], rounds)
            found = [engine.rows(answer) for answer in answers]
            first = first or found
            same = np.mean([len({*a} & {*b}) / max(1, len(a)) for a, b in zip(first, found, strict=True)])
            results.append({"what": what, "engine": name, **figures, "same": float(same)})
    return results


def show(results: Sequence[dict[str, Any]]) -> None:
    """As a table."""
    for result in results:
        known = ("what", "engine")
        other = "  ".join(f"{name} {value:,.4g}" for name, value in result.items() if name not in known)
        print(f"{result['what']:24} {result['engine']:8} {other}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    texts = texts_of(corpus(), arguments.rows)
    queries = queries_of(texts, 30 if arguments.quick else 200)
    with tempfile.TemporaryDirectory(dir=".") as name:
        engines: dict[str, Any] = {"lutra": Lutra(texts, Path(name))}
        try:
            engines["tantivy"] = Tantivy(importlib.import_module("tantivy"), texts, Path(name))
        except ImportError:
            print("tantivy is not installed: it is left out")
        plain = float(np.mean([len(text) for text in texts]))
        results = [{"what": "texts", "engine": "", "rows": len(texts), "bytes_a_text": plain}]
        results += [{"what": "build", "engine": name, **engine.figures} for name, engine in engines.items()]
        results += measured(engines, queries, 1 if arguments.quick else 3)
        engines["lutra"].cache.close()
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
