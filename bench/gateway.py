"""What a gateway's hop costs: the same requests to the node that owns the rows, and to one that asks it for them.

``python -m bench.gateway`` starts two nodes on loopback over a local folder. A table of one partition has its rows at
one of them; a table of two has half of them at each. Requests are signed beforehand, and sent over one connection to
each node in turn, so that whatever else the machine does meets both. Told are medians and the tenth percentile, which
other processes disturb least; what the hop costs is the difference of these.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import tablestore as ots
from tablestore import OTSClient

from bench import prepared
from bench.connection import Connection, read_requests
from bench.nodes import owners, run_nodes

ROWS: Final = 2_000
VALUE: Final = "x" * 100
ONE, TWO = "one", "two"
_IGNORE: Final = ots.Condition(ots.RowExistenceExpectation.IGNORE)

Call = Callable[[OTSClient], object]


def row(number: int) -> ots.Row:
    return ots.Row([("k", number)], [(f"c{column}", VALUE) for column in range(4)])


def puts(table: str, numbers: Sequence[int]) -> Call:
    items = [ots.PutRowItem(row(number), _IGNORE) for number in numbers]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items))
    return lambda client: client.batch_write_row(request)


def gets(table: str, numbers: Sequence[int]) -> Call:
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(table, [[("k", number)] for number in numbers], max_version=1))
    return lambda client: client.batch_get_row(request)


def one_range(table: str, first: int, count: int) -> Call:
    return lambda client: client.get_range(
        table, ots.Direction.FORWARD, [("k", first)], [("k", first + count)], limit=count, max_version=1
    )


def calls(table: str) -> dict[str, Callable[[int], Call]]:
    """What is measured, each made anew for a number."""
    half = ROWS // 2
    spread = [*range(50), *range(half, half + 50)]
    return {
        "put 1 row": lambda number: lambda client: client.put_row(table, row(number % ROWS), _IGNORE),
        "get 1 row": lambda number: lambda client: client.get_row(table, [("k", number % ROWS)], max_version=1),
        "put 100 rows": lambda number: puts(table, spread),
        "get 100 rows": lambda number: gets(table, spread),
        "range of 1,000": lambda number: one_range(table, half - 500, 1_000),
    }


def measure(
    endpoints: Sequence[str], made: Callable[[int], Call], rounds: int, folder: Path
) -> list[tuple[float, float]]:
    """Median and tenth percentile in µs at each endpoint."""
    took: list[list[float]] = [[] for _ in endpoints]
    with ExitStack() as closing:
        connections = [closing.enter_context(Connection(endpoint)) for endpoint in endpoints]
        requests = []
        for endpoint in endpoints:
            prepared.record(endpoint, (made(number) for number in range(rounds)), folder / "requests")
            requests.append(read_requests(folder / "requests"))
        for number in range(rounds):
            for place, connection in enumerate(connections):
                began_s = time.perf_counter()
                connection.ask(requests[place][number])
                took[place].append(1e6 * (time.perf_counter() - began_s))
    warm = [one[len(one) // 10 :] for one in took]
    return [(statistics.median(one), sorted(one)[len(one) // 10]) for one in warm]


def run(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """A line of figures for each kind of request and table."""
    with run_nodes(folder, 2) as endpoints:
        client = prepared.client(next(iter(endpoints.values())))
        meta = [("k", "INTEGER")]
        nothing = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
        client.create_table(ots.TableMeta(ONE, meta), ots.TableOptions(), nothing)
        client._request_helper("CreateTable", ots.TableMeta(TWO, meta), ots.TableOptions(), nothing, None, [], [1_000])
        for table in (ONE, TWO):
            for first in range(0, ROWS, 100):
                puts(table, range(first, first + 100))(client)
        results = []
        (owner,) = owners(folder, ONE)
        other = next(name for name in endpoints if name != owner)
        for table, places in ((ONE, (owner, other)), (TWO, tuple(endpoints))):
            has = owners(folder, table)
            for name, made in calls(table).items():
                figures = measure([endpoints[place] for place in places], made, rounds, folder)
                results.append(
                    {"table": table, "owners": has, "call": name, "us": dict(zip(places, figures, strict=True))}
                )
        for result in results:
            result["own"] = owner
        return results


def show(results: Sequence[dict[str, Any]]) -> None:
    """Prints them as a table."""
    print(f"{'':>5} {'':<16} {'at its owner':>22} {'through the other':>22} {'hop':>8}   µs: median (10 %)")
    for result in results:
        (_, (own, own_least)), (_, (far, far_least)) = result["us"].items()
        print(
            f"{result['table']:>5} {result['call']:<16} {own:>12,.0f} ({own_least:>7,.0f}) {far:>12,.0f} "
            f"({far_least:>7,.0f}) {far_least - own_least:>8,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="requests of each kind to each node")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
        results = run(arguments.rounds, Path(folder))
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
