"""A real server process on a free loopback port, for benchmarks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY_ID = "bench"
ACCESS_KEY_SECRET = "bench-secret-of-a-throw-away-server"
INSTANCE = "bench"


@dataclass(frozen=True)
class RunningServer:
    """``endpoint`` is ``http://127.0.0.1:PORT``; ``pid`` the server's process id."""

    endpoint: str
    pid: int
    data_dir: Path

    @property
    def resident_mb(self) -> float:
        """Resident memory of the server process in MB (10^6 bytes)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def kill(self) -> None:
        """At once, as a crash does; it leaves the block of `run_server` at peace."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def run_server(*arguments: str, data_dir: Path | None = None) -> Iterator[RunningServer]:
    """Starts ``lutra serve``, then stops it. Raises RuntimeError if it does not start.

    ``data_dir``: what to serve, and leave; None: a fresh folder, which is deleted.
    """
    with ExitStack() as closing:
        if data_dir is None:
            data_dir = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-bench-"))) / "data"
        environment = os.environ | {
            "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        }
        command = [sys.executable, "-m", "lutra.cli.main", "serve", "--data", str(data_dir), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--instance", INSTANCE, *arguments], stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("listening on "):
                    yield RunningServer(line.removeprefix("listening on ").strip(), process.pid, data_dir)
                    return
            raise RuntimeError(f"the server ended with status {process.wait()} before it listened")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
