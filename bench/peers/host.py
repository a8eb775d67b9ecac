"""The process that a library is in: it listens on loopback, a thread for each connection (`bench.peers.protocol`).

    python -m bench.peers.host LIBRARY --folder DIR --data DIR

``bench.peers`` starts it. It says ``listening on PORT``, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.peers.data import Among, K, Vectors, open_data
from bench.peers.library import LIBRARIES, Library
from bench.peers.protocol import Exchange

_KEPT: Final = frozenset({"op", "k", "column", "below", "queries", "threads", "seconds", "most", "first", "rows"})
"""Words of a head that are no setting."""
Answer = tuple[dict[str, object], bytes]


class Host:
    """Of one library."""

    def __init__(self, library: Library, folder: Path, data_folder: Path) -> None:
        self._library, self._folder = library, folder
        self._data = open_data(data_folder)
        self._built = folder / "built"
        if self._built.exists():
            library.open(folder, self._data.base.shape[1])

    def serve(self, end: socket.socket) -> None:
        """Until the other side closes."""
        with end:
            exchange = Exchange(end)
            while True:
                try:
                    head, body = exchange.receive()
                except (EOFError, OSError):
                    return
                try:
                    answer, data = getattr(self, f"_{head['op']}")(head, body)
                    exchange.send({"ok": 1, **answer}, data)
                except Exception as error:  # the other side is told of it, and goes on or not
                    exchange.send({"error": f"{type(error).__name__}: {error}"[:2_000].replace("\n", " ")})

    def _load(self, head: dict[str, str], body: bytes) -> Answer:
        self._library.load(self._data, self._folder)
        return {}, b""

    def _build(self, head: dict[str, str], body: bytes) -> Answer:
        about = self._library.build(self._data, self._folder, os.cpu_count() or 1)
        self._built.touch()
        return {}, about.encode()

    def _search(self, head: dict[str, str], body: bytes) -> Answer:
        found = self._library.search(np.frombuffer(body, np.float32), int(head["k"]), _setting(head), _among(head))
        return {}, np.asarray(found, np.int64).tobytes()

    def _write(self, head: dict[str, str], body: bytes) -> Answer:
        vectors = np.frombuffer(body, np.float32).reshape(int(head["rows"]), -1)
        self._library.write(int(head["first"]), vectors)
        return {}, b""

    def _run(self, head: dict[str, str], body: bytes) -> Answer:
        """Threads of this process ask, each from another query on: arrays of what they saw, as an npz."""
        queries = np.load(head["queries"])
        count, seconds, most = int(head["threads"]), float(head["seconds"]), int(head["most"])
        seen: list[tuple[list[float], list[int], list[list[int]], float]] = []
        gate = threading.Barrier(count)
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                gate.wait(60)
                seen.append(self._ask(queries, head, number * len(queries) // count, seconds, most))
            except BaseException as error:  # told to the other side, by the thread that serves it
                failed.append(error)

        before_s = time.process_time()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        file = io.BytesIO()
        np.savez(
            file,
            cpu_s=time.process_time() - before_s,
            elapsed_s=max(one[3] for one in seen),
            latencies_ms=np.concatenate([one[0] for one in seen]),
            queries=np.concatenate([one[1] for one in seen]),
            found=_padded([found for one in seen for found in one[2]]),
        )
        return {}, file.getvalue()

    def _ask(
        self, queries: Vectors, head: dict[str, str], at: int, seconds: float, most: int
    ) -> tuple[list[float], list[int], list[list[int]], float]:
        setting, among, k = _setting(head), _among(head), int(head["k"])
        latencies_ms: list[float] = []
        asked: list[int] = []
        answers: list[list[int]] = []
        begin_s = now_s = time.perf_counter()
        while now_s < begin_s + seconds and len(asked) < most:
            found = self._library.search(queries[at], k, setting, among)
            answered_s = time.perf_counter()
            latencies_ms.append(1e3 * (answered_s - now_s))
            asked.append(at)
            answers.append(list(found))
            at, now_s = (at + 1) % len(queries), answered_s
        return latencies_ms, asked, answers, now_s - begin_s


def _padded(found: list[list[int]]) -> npt.NDArray[np.int64]:
    """int64 [n, K], -1 where fewer were found."""
    lines = np.full((len(found), K), -1, np.int64)
    for line, numbers in zip(lines, found, strict=True):
        line[: len(numbers)] = numbers[:K]
    return lines


def _setting(head: dict[str, str]) -> dict[str, float]:
    return {name: float(value) if "." in value else int(value) for name, value in head.items() if name not in _KEPT}


def _among(head: dict[str, str]) -> Among | None:
    return Among("", head["column"], int(head["below"])) if "column" in head else None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=sorted(LIBRARIES))
    parser.add_argument("--folder", type=Path, required=True, help="of the index")
    parser.add_argument("--data", type=Path, required=True, help="of the rows, as bench.peers makes it")
    arguments = parser.parse_args()
    host = Host(LIBRARIES[arguments.library](), arguments.folder, arguments.data)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        print(f"listening on {listening.getsockname()[1]}", flush=True)
        threading.Thread(target=_accept, args=(listening, host), daemon=True).start()
        sys.stdin.buffer.read()  # until the process that started this one closes it, or is no more
    os._exit(0)  # threads may still be in a library's code


def _accept(listening: socket.socket, host: Host) -> None:
    while True:
        try:
            end, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=host.serve, args=(end,), daemon=True).start()


if __name__ == "__main__":
    main()
