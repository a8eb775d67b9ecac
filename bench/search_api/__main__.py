"""Searches of all kinds by one client over HTTP, beside DuckDB and tantivy: p50 and p99.

A table of --rows rows with numbers, keywords, dates, texts, points, nested items and vectors is filled through the
engine in this process; then a real server serves it, with its defaults. Requests are made and signed by the official
SDK beforehand and sent by one connection, one after the other, each kind for --seconds, after all were sent once: so
what is measured is the server and HTTP, not the client. Hits come without columns, ten at a time, without a total.

DuckDB answers all but texts and vectors, tantivy texts: the same rows, in this process and without HTTP, on one thread,
and from memory. "same" says in how many of the first questions the answer was the peer's: the same ten rows by key, the
same groups; of the ten best texts, how many (tantivy rounds lengths, so the last of them differ).

  python -m bench.search_api --rows 20000                    a minute
  python -m bench.search_api --data big --json big.json      a million; loading takes the most of it

With --data what was loaded is kept, and a run that broke off goes on with it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import prepared
from bench.connection import Connection, read_requests
from bench.search_api.loading import load
from bench.search_api.peers import DuckDb, TantivyTexts
from bench.search_api.questions import Question, questions_of, sends
from bench.search_api.rows import Rows, key_of
from bench.server_process import RunningServer, run_server

COMPARED: Final = 20
"""Questions of a kind whose answers are held against the peer's."""

Result = dict[str, Any]


def figures(times_ms: list[float]) -> Result:
    p50, p99 = np.quantile(times_ms, [0.5, 0.99]).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "mean_ms": float(np.mean(times_ms)), "requests": len(times_ms)}


def timed(ask: list[Callable[[], object]], seconds: float) -> list[float]:
    """What each took in ms, for so long, in turn, after each was asked once."""
    for one in ask:
        one()
    times_ms: list[float] = []
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s or len(times_ms) < len(ask):
        begin_s = time.perf_counter()
        ask[len(times_ms) % len(ask)]()
        times_ms.append(1e3 * (time.perf_counter() - begin_s))
    return times_ms


def over_http(
    server: RunningServer, questions: dict[str, list[Question]], seconds: float, folder: Path
) -> Iterator[Result]:
    """Figures of each kind. What the server refuses is told, and the others go on."""
    path = folder / "requests"
    for name, asked in questions.items():
        prepared.record(server.endpoint, sends(asked), path)
        requests = read_requests(path)
        with Connection(server.endpoint) as connection:
            try:
                times_ms = timed([lambda request=one: connection.ask(request) for one in requests], seconds)  # type: ignore[misc]
            except RuntimeError as error:
                yield {"what": name, "engine": "lutra", "failed": str(error)[-200:]}
                continue
        yield {"what": name, "engine": "lutra", **figures(times_ms)}


def shown(answer: Any) -> Any:
    """An SDK's answer as `DuckDb` gives it: ids, or groups with their figures."""
    if not answer.group_by_results:
        return [(key[0][1],) for key, _ in answer.rows]
    return [
        (_key_of(item), item.row_count, *(round(result.value, 4) for result in item.sub_aggs))
        for item in answer.group_by_results[0].items
    ]


def _key_of(item: Any) -> Any:
    return item.timestamp if hasattr(item, "timestamp") else item.key


def beside(peer: Any, server: RunningServer, questions: dict[str, list[Question]], seconds: float) -> Iterator[Result]:
    """Figures of a peer, and whether Lutra says the same."""
    client = prepared.client(server.endpoint)
    for name, answers in peer.answers.items():
        asked = questions[name]
        times_ms = timed([lambda one=one, answers=answers: answers(one.asked) for one in asked], seconds)  # type: ignore[misc]
        same = [similarity(peer, one.send(client), answers(one.asked)) for one in asked[:COMPARED]]
        yield {"what": name, "engine": peer.name, **figures(times_ms), "same": float(np.mean(same))}


def similarity(peer: Any, answer: Any, others: Any) -> float:
    """1 where they are the same; of texts the share that is."""
    own = shown(answer)
    if isinstance(peer, TantivyTexts):
        keys = {key_of(row) for row in peer.rows(others)}
        return len(keys & {key for (key,) in own}) / max(1, len(own))
    rounded = [tuple(round(value, 4) if isinstance(value, float) else value for value in row) for row in others]
    return float(sorted(own) == sorted(rounded))


def peers(rows: Rows, folder: Path) -> Iterator[Any]:
    """Those that are installed."""
    for make in (lambda: DuckDb(rows), lambda: TantivyTexts(rows, folder)):
        try:
            yield make()
        except ImportError as missing:
            print(f"left out: {missing} (pip install '.[bench,dev]')", file=sys.stderr)


def run(folder: Path, rows: Rows, arguments: argparse.Namespace) -> list[Result]:
    loaded = load(folder / "data", rows, arguments.load_limit_s)
    results: list[Result] = [{"what": "load", "engine": "lutra", "rows": rows.count, **loaded}]
    show(results[-1])
    questions = questions_of(rows, arguments.queries)
    with run_server(data_dir=folder / "data") as server:
        for result in over_http(server, questions, arguments.seconds, folder):
            results.append(result)
            show(result)
        results.append({"what": "memory", "engine": "lutra", "resident_mb": server.resident_mb})
        show(results[-1])
        failed = {result["what"] for result in results if "failed" in result}
        answered = {name: asked for name, asked in questions.items() if name not in failed}
        with tempfile.TemporaryDirectory(dir=folder) as name:
            for peer in peers(rows, Path(name)):
                peer.answers = {name: answers for name, answers in peer.answers.items() if name in answered}
                for result in beside(peer, server, answered, arguments.seconds):
                    results.append(result)
                    show(result)
    return results


def show(result: Result) -> None:
    other = "  ".join(
        f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in result.items()
        if name not in ("what", "engine")
    )
    print(f"{result['what']:26} {result['engine']:8} {other}", flush=True)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as name:
        yield Path(name)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search_api", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--queries", type=int, default=200, help="different ones of each kind")
    parser.add_argument("--seconds", type=float, default=5, help="how long each kind is asked")
    parser.add_argument("--load-limit-s", type=float, default=3_600, help="for writing, and until the index is settled")
    parser.add_argument("--data", type=Path, metavar="DIR", help="what is loaded stays there, for the next run")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with _folder(arguments.data) as folder:
        results = run(folder, Rows(arguments.rows, arguments.dim), arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
