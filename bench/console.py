"""Pages of the console over a large table: how long each takes, from the request to the last byte of its answer.

python -m bench.console [--rows 1000000] [--dim 384] [--folder DIR] [--times 20] [--json FILE]

Fills a table (kept in ``--folder`` for the next time), serves it, signs in, and asks for each page so many times, one
after the other. Times include the engine's. Requests are those of a browser; the goal is 200 ms, and 1 s for the map.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from bench.console_rows import TABLE, fill
from bench.server_process import ACCESS_KEY_ID, ACCESS_KEY_SECRET, INSTANCE, run_server
from lutra.console.search.address import written

_TOKEN: Final = re.compile(r'name="csrf-token" content="([^"]*)"')
_JSON: Final = {"accept": "application/json"}
PLACE: Final = f"/console/i/{INSTANCE}/t/{TABLE}"
_RECENT: Final = {"group": "all", "parts": [{"field": "year", "op": "from", "value": 2010}]}
_LIKE: Final = {"field": "embedding", "by": "row", "key": '["row-000000007"]'}
SEARCHES: Final[dict[str, dict[str, Any]]] = {
    "words": {"words": {"text": "cold rivers"}},
    "near to a row, filtered": {"near": _LIKE, "where": _RECENT},
    "words and near": {"near": _LIKE, "words": {"text": "cold rivers"}, "explain": True},
    "a grid of 100, sorted": {
        "where": _RECENT,
        "sort": [{"by": "field", "field": "price"}],
        "limit": 100,
        "view": "grid",
    },
    "three charts": {
        "where": _RECENT,
        "aggregations": [
            {"by": "value", "field": "topic"},
            {"by": "date", "field": "seen", "unit": "day"},
            {"by": "interval", "field": "price", "every": 10, "each": [{"of": "avg", "field": "year"}]},
        ],
    },
}


class Visitor:
    """Somebody who has signed in, on one connection."""

    def __init__(self, endpoint: str) -> None:
        address = urlsplit(endpoint)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        self._cookies: dict[str, str] = {}
        self.token = ""
        self.get("/console/sign-in")
        form = {"access_key_id": ACCESS_KEY_ID, "secret": ACCESS_KEY_SECRET, "to": "", "csrf_token": self.token}
        status, _ = self.send("POST", "/console/sign-in", urlencode(form).encode())
        if status != 303:
            raise RuntimeError(f"signing in was answered with {status}")
        self.get("/console/")

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        status, body = self.send("GET", path, None, headers)
        if found := _TOKEN.search(body.decode(errors="replace")):
            self.token = found[1]
        return status, body

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **(headers or {})}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        for cookie in response.headers.get_all("set-cookie") or []:
            name, _, rest = cookie.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response.status, response.read()


def measure(visitor: Visitor, pages: dict[str, tuple[str, dict[str, str]]], times: int) -> list[dict[str, Any]]:
    """Milliseconds of each page, median and most."""
    found = []
    for name, (path, headers) in pages.items():
        took_ms = []
        for _ in range(times):
            begin_s = time.perf_counter()
            status, body = visitor.get(path, headers)
            took_ms.append(1_000 * (time.perf_counter() - begin_s))
            if status != 200:
                raise RuntimeError(f"{path} was answered with {status}: {body[:500]!r}")
        found.append(
            {
                "page": name,
                "p50_ms": statistics.median(took_ms),
                "first_ms": took_ms[0],
                "max_ms": max(took_ms[1:] or took_ms),
                "bytes": len(body),
            }
        )
    return found


def pages(visitor: Visitor) -> dict[str, tuple[str, dict[str, str]]]:
    """Those to ask for, with the headers of each."""
    points = f"{PLACE}/map/points?field=embedding&colour=topic"
    drawn = json.loads(visitor.get(points, _JSON)[1])
    near = urlencode({"field": "embedding", "frame": drawn["frame"], "key": drawn["keys"][0]})
    return {
        "instances": ("/console/", {}),
        "tables": (f"/console/i/{INSTANCE}", {}),
        "overview": (PLACE, {}),
        "rows": (f"{PLACE}/data", {}),
        "rows, the last": (f"{PLACE}/data?place=last", {}),
        "rows, 200 of a filter": (f"{PLACE}/data?rows=200&where=year+%3D+2000", {}),
        "rows, none of a filter": (f"{PLACE}/data?where=year+%3D+1", {}),
        "a row": (f"{PLACE}/data/row?key=%5B%22row-000000500%22%5D", {}),
        "map": (f"{PLACE}/map", {}),
        "map, 4,000 points": (points, _JSON),
        "map, 10,000 of a filter": (f"{points}&rows=10000&where=year+%3E+2000", _JSON),
        "map, neighbours of one": (f"{PLACE}/map/neighbours?{near}", _JSON),
        "status": ("/console/status", {}),
        "status, an hour": ("/console/status/history", _JSON),
        "an index's segments": (f"/console/status/i/{INSTANCE}/t/{TABLE}/search", {}),
        "search: the form": (f"{PLACE}/search", {}),
        **{
            f"search: {name}": (f"{PLACE}/search?{urlencode({'s': written(spec)})}", {})
            for name, spec in SEARCHES.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as closing:
        folder = options.folder or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-bench-")))
        fill(folder / "data", options.rows, options.dim)
        server = closing.enter_context(run_server(data_dir=folder / "data"))
        visitor = Visitor(server.endpoint)
        found = measure(visitor, pages(visitor), options.times)
        print(f"{options.rows:,} rows x {options.dim}; ms from request to last byte, {options.times} times each")
        print(f"{'page':<28}{'p50':>9}{'first':>9}{'max':>9}{'KB':>9}")
        for one in found:
            sizes = f"{one['first_ms']:>9.1f}{one['max_ms']:>9.1f}{one['bytes'] / 1_000:>9.1f}"
            print(f"{one['page']:<28}{one['p50_ms']:>9.1f}{sizes}")
        if options.json:
            options.json.write_text(json.dumps({"rows": options.rows, "dim": options.dim, "pages": found}, indent=1))


if __name__ == "__main__":
    main()
