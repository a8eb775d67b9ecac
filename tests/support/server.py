"""A real server process on a free loopback port, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import tablestore as ots
from tablestore.retry import NoRetryPolicy

ACCESS_KEY_ID = "test-id"
ACCESS_KEY_SECRET = "test-secret-of-a-throw-away-server"
STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 30
ROWS_VARIABLE = "LUTRA_TEST_ROWS"
"""``slatedb``: rows of servers are in a folder that is an object store; ``s3://bucket/prefix``: below that."""
_TESTS = Path(__file__).parents[1]


def _server_python() -> str:
    """The interpreter Lutra is installed for; the tests themselves may run on another one."""
    return str(Path(os.environ.get("LUTRA_SERVER_PYTHON", sys.executable)).absolute())


class ServerNotStarted(RuntimeError):
    """It ended, or did not listen in time. ``status``: the process's, -9 where it was killed."""

    def __init__(self, status: int, printed: str) -> None:
        super().__init__(f"the server did not start (status {status}); it printed:\n{printed}")
        self.status = status


class ServerProcess:
    """``lutra serve`` over ``data_dir``, which outlives it: start, kill or stop it, and start it again.

    What the server prints goes to ``log_path``, beside ``data_dir``.
    """

    command: Sequence[str] = ("lutra.cli.main", "serve")
    """The module that is run, and its arguments before those of every server."""

    def __init__(self, data_dir: Path, *, instance: str = "test", arguments: tuple[str, ...] = ()) -> None:
        self.data_dir, self.instance, self.arguments = data_dir, instance, arguments
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.endpoint = ""
        self._process: subprocess.Popen[bytes] | None = None

    def log_text(self) -> str:
        """What it has printed."""
        return self.log_path.read_text()

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError where it does not run."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither ended nor was seen to end."""
        return self._process is not None

    def start(self) -> None:
        """Returns once the server listens. Raises ServerNotStarted with what it printed where it does not."""
        if self._process is not None:
            raise RuntimeError("the server is already running")
        command = [_server_python(), "-m", *self.command, "--data", str(self.data_dir), "--port", "0"]
        environment = os.environ | {
            "PYTHONPATH": str(_TESTS),  # for modules of tests/support
            "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        }
        with self.log_path.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [*command, "--instance", self.instance, *self._rows_arguments(), *self.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self.endpoint = self._wait_until_listening(self._process, begin)

    def _rows_arguments(self) -> tuple[str, ...]:
        """Of a run whose servers are to have their rows on an object store: a folder, or a place on S3."""
        wanted = os.environ.get(ROWS_VARIABLE)
        if not wanted or "--rows" in self.arguments or (self.data_dir / "kv").exists():
            return ()
        if wanted == "slatedb":
            return ("--rows", str(self.data_dir.with_name(self.data_dir.name + "-rows")))
        if (self.data_dir / "rows").exists():
            return ()  # it remembers
        return ("--rows", f"{wanted}/{uuid.uuid4().hex}")

    def _wait_until_listening(self, process: subprocess.Popen[bytes], begin: int) -> str:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            has_ended = process.poll() is not None
            for line in self.log_path.read_bytes()[begin:].splitlines(keepends=True):
                if line.startswith(b"listening on ") and line.endswith(b"\n"):
                    return line.removeprefix(b"listening on ").decode().strip()
            if has_ended:
                break
            time.sleep(0.01)
        raise ServerNotStarted(self._end(process), self.log_path.read_text())

    def kill(self) -> None:
        """SIGKILL: the server has no time to do anything."""
        self._end(self._running(), signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and waits until the server has ended. Raises RuntimeError where it did not end cleanly."""
        status = self._end(self._running(), signal.SIGTERM)
        if status != 0:
            raise RuntimeError(f"the server ended with status {status}; it printed:\n{self.log_path.read_text()}")

    def wait_ended(self, within_s: float) -> int | None:
        """The server's status once it has ended by itself; None where it still runs after that time."""
        try:
            status = self._running().wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        self._process = None
        return status

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _end(self, process: subprocess.Popen[bytes], with_signal: signal.Signals = signal.SIGKILL) -> int:
        self._process = None
        process.send_signal(with_signal)
        try:
            return process.wait(timeout=STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def client(self, **options: Any) -> ots.OTSClient:
        """The official client, signed in; it does not retry unless given a ``retry_policy``."""
        return ots.OTSClient(**self._client_options(options))

    def async_client(self, **options: Any) -> ots.AsyncOTSClient:
        """The same, for asyncio; close it in the loop that used it."""
        return ots.AsyncOTSClient(**self._client_options(options))

    def _client_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "end_point": self.endpoint,
            "access_key_id": ACCESS_KEY_ID,
            "access_key_secret": ACCESS_KEY_SECRET,
            "instance_name": self.instance,
            "retry_policy": NoRetryPolicy(),
        } | options
