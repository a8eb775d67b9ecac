"""An example's page, served by a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_REPOSITORY: Final = Path(__file__).parents[2]
_STARTS_WITHIN_S: Final = 90.0
_STOPS_WITHIN_S: Final = 60.0


@contextmanager
def example_page(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of the page that ``python -m module`` serves with ``arguments``, which name port 0.

    It prints the address at the end of a line. It is interrupted at the end, and has to end cleanly.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_REPOSITORY,
            env=os.environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert status == 0, log.read_text()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline_s = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline_s and process.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            _, found, rest = line.rpartition("http://127.0.0.1:")
            if found and line.endswith("\n"):
                return f"http://127.0.0.1:{rest.strip().rstrip('/')}"
        time.sleep(0.02)
    raise AssertionError(f"{process.args} serves no page; it printed:\n{log.read_text()}")
