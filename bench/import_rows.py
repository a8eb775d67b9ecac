"""`lutra import` of rows with vectors: rows/s, memory, a bad row in the middle, a kill -9 and going on.

python -m bench.import_rows [--rows 1000000] [--dim 384] [--format parquet] [--kill-at 0.4] [--no-kill] [--json FILE]

Rows have a key, six columns (text, ints, floats, lists, dates) and a vector of float32. The file is written first, some
thousand rows at a time; one row in its middle is bad: a line cut off, or in Parquet a vector with NaN. The import is
killed with SIGKILL once a checkpoint says that ``--kill-at`` of the rows are done, and the same command is run again,
until searches find all rows. Rows/s are those of the runs as the command tells them, from its first row to its last
one on stable storage; searchable: until a search finds them all. Memory is the largest resident size of the command,
and of its builders together, looked at ten times a second. In the end the rows are counted, and some compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import lutra
from bench.processes import Processes

CHUNK: Final = 5_000
GROUP: Final = 100_000
"""Rows of a row group, as large files have them."""
COMPARED: Final = 500
SAMPLE_S: Final = 0.1


def chunks(rows: int, dimension: int) -> Iterator[tuple[dict[str, list[Any]], npt.NDArray[np.float32]]]:
    """Columns and vectors [CHUNK, dimension]; the same at each call."""
    for first in range(0, rows, CHUNK):
        random = np.random.default_rng(first)
        numbers = range(first, min(first + CHUNK, rows))
        vectors = random.standard_normal((len(numbers), dimension), dtype=np.float32)
        columns: dict[str, list[Any]] = {
            "id": [f"row-{number:09}" for number in numbers],
            "title": [f"the title of article {number} in some words of its own" for number in numbers],
            "year": [1990 + number % 35 for number in numbers],
            "price": (random.integers(0, 100_000, len(numbers)) / 100).tolist(),
            "tags": [[f"t{number % 97}", f"u{number % 11}"] for number in numbers],
            "seen": [f"2024-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z" for number in numbers],
        }
        yield columns, vectors


def write_parquet(path: Path, rows: int, dimension: int) -> None:
    """In row groups of `GROUP`. Vectors are not compressed: they cannot be."""
    writer = None
    pending: list[pa.Table] = []
    bad = rows // 2
    done = 0
    for columns, vectors in chunks(rows, dimension):
        if done <= bad < done + len(vectors):
            vectors[bad - done, 0] = np.nan
        done += len(vectors)
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
        pending.append(pa.table({**columns, "embedding": flat}))
        if sum(map(len, pending)) >= GROUP or done == rows:
            group = pa.concat_tables(pending)
            writer = writer or pq.ParquetWriter(path, group.schema)
            writer.write_table(group, row_group_size=GROUP)
            pending.clear()
    if writer is not None:
        writer.close()


def write_lines(path: Path, rows: int, dimension: int, *, as_csv: bool) -> None:
    """With one that is cut off."""
    bad = rows // 2
    done = 0
    with path.open("w") as file:
        if as_csv:
            file.write("id,title,year,price,tags,seen,embedding\n")
        for columns, vectors in chunks(rows, dimension):
            digits = pa.array(vectors.ravel()).cast(pa.string()).to_pylist()
            for place, values in enumerate(zip(*columns.values(), strict=True)):
                text = f"[{','.join(digits[place * dimension : (place + 1) * dimension])}]"
                line = _csv_line(values, text) if as_csv else _json_line(dict(zip(columns, values, strict=True)), text)
                file.write(line if done != bad else f"{line[: len(line) // 2]}\n")
                done += 1


def _csv_line(values: tuple[Any, ...], vector: str) -> str:
    cells = [json.dumps(value).replace('"', '""') if isinstance(value, list) else str(value) for value in values]
    return ",".join(f'"{cell}"' for cell in (*cells, vector)) + "\n"


def _json_line(values: dict[str, Any], vector: str) -> str:
    return f'{json.dumps(values)[:-1]}, "embedding": {vector}}}\n'


class Watch:
    """Looks at the memory of a command until it has ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.processes = Processes(process.pid)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Once the command has ended."""
        self._thread.join()

    def _run(self) -> None:
        while self._process.poll() is None:
            try:
                self.processes.usage()
            except psutil.Error:
                return
            time.sleep(SAMPLE_S)


def start(folder: Path, path: Path, log: IO[str]) -> subprocess.Popen[str]:
    """The command, always the same."""
    command = [sys.executable, "-m", "lutra.cli.main", "import", str(path), "--table", "articles", "--data", "data"]
    return subprocess.Popen([*command, "--yes", "--json"], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)


def rows_done(folder: Path) -> int:
    """As the checkpoint tells; 0 where there is none yet."""
    found = list((folder / "data" / "imports").glob("*.json"))
    try:
        return sum(position["rows"] for position in json.loads(found[0].read_text())["positions"]) if found else 0
    except FileNotFoundError:
        return 0


def killed(folder: Path, path: Path, rows: int, log: IO[str]) -> dict[str, Any]:
    """Runs the command until it has done ``rows``, and kills it."""
    begin_s = time.perf_counter()
    process = start(folder, path, log)
    watch = Watch(process)
    while rows_done(folder) < rows:
        if process.poll() is not None:
            raise RuntimeError(f"the import ended with {process.returncode} before it could be killed")
        time.sleep(0.02)
    took_s = time.perf_counter() - begin_s
    done = rows_done(folder)
    process.kill()
    process.communicate()
    watch.join()
    return {"rows": done, "seconds": took_s, "rows_per_s": done / took_s, **_memory(watch)}


def whole(folder: Path, path: Path, log: IO[str]) -> dict[str, Any]:
    """Runs the command to its end."""
    begin_s = time.perf_counter()
    process = start(folder, path, log)
    watch = Watch(process)
    printed, _ = process.communicate()
    took_s = time.perf_counter() - begin_s
    watch.join()
    if process.returncode != 3:
        raise RuntimeError(f"the import ended with {process.returncode}, not with 3: some rows rejected")
    told = json.loads(printed)
    return {
        "rows": told["rows_of_this_run"],
        "written": told["written"],
        "rejected": told["rejected"],
        "seconds": told["seconds"],
        "rows_per_s": told["rows_per_s"],
        "searchable_s": took_s,
        **_memory(watch),
    }


def _memory(watch: Watch) -> dict[str, float]:
    return {"memory_mb": watch.processes.server_mb_max, "builders_mb": watch.processes.builders_mb_max}


def compare(folder: Path, rows: int, dimension: int) -> int:
    """How many rows there are. Raises AssertionError where some of them are not those of the file."""
    with lutra.connect(folder / "data", read_only=True) as db:
        table = db.table("articles")
        assert sum(1 for _ in table.scan(columns=["year"])) == rows - 1
        for first, (columns, vectors) in zip(range(0, rows, CHUNK), chunks(rows, dimension), strict=True):
            place = first // CHUNK * 7 % len(vectors)
            if first + place == rows // 2 or first // CHUNK > COMPARED:
                continue
            row = table.get(columns["id"][place])
            assert row is not None
            assert np.array_equal(row["embedding"], vectors[place])
            assert (row["title"], row["tags"]) == (columns["title"][place], columns["tags"][place])
    return rows - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--format", choices=["parquet", "jsonl", "csv"], default="parquet")
    parser.add_argument("--kill-at", type=float, default=0.4, help="of the rows")
    parser.add_argument("--no-kill", action="store_true", help="one run from begin to end")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write results here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name, open(Path(name) / "errors", "w+") as log:
        folder = Path(name)
        path = folder / f"articles.{options.format}"
        if options.format == "parquet":
            write_parquet(path, options.rows, options.dim)
        else:
            write_lines(path, options.rows, options.dim, as_csv=options.format == "csv")
        results: dict[str, Any] = {
            "rows": options.rows,
            "dim": options.dim,
            "format": options.format,
            "file_mb": path.stat().st_size / 1e6,
            "parameters": {"kill_at": None if options.no_kill else options.kill_at},
        }
        print(
            f"{options.rows:,} rows of {options.dim} dimensions in {path.name}: {results['file_mb']:,.0f} MB",
            flush=True,
        )
        try:
            if not options.no_kill:
                results["killed"] = killed(folder, path, int(options.rows * options.kill_at), log)
                _print("killed", results["killed"])
            results["whole"] = whole(folder, path, log)
        except RuntimeError as error:
            log.seek(0)
            sys.exit(f"{error}\n{log.read()[-4_000:]}")
        _print("to the end", results["whole"])
        rejected = (folder / "articles.rejected.jsonl").read_text().splitlines()
        assert [json.loads(line)["row"] for line in rejected] == [options.rows // 2 + 1]
        print(f"rejected: {rejected[0][:160]}")
        print(f"{compare(folder, options.rows, options.dim):,} rows are there, and those of the file")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def _print(name: str, found: dict[str, Any]) -> None:
    text = ", ".join(
        f"{key} {value:,.1f}" if isinstance(value, float) else f"{key} {value:,}" for key, value in found.items()
    )
    print(f"{name}: {text}", flush=True)


if __name__ == "__main__":
    main()
