"""A server that has something to do before it stops: it answers meanwhile, and lets connections go one by one."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

WITHIN_S = 60
PROGRAM = """
import sys
from lutra.instance.engine import Engine
from lutra.model.errors import StorageFailure
from lutra.server.auth.credentials import Credentials
from lutra.server.http.options import ServerOptions
from lutra.server.http.server import run_server

def tell(line):
    print(line, flush=True)

def leave():
    tell("leaving")
    if sys.stdin.readline() == "fail\\n":
        raise RuntimeError("it cannot leave")

is_fit = [True]

def check():
    if not is_fit[0]:
        raise StorageFailure("it is not fit")

engine = Engine.open(sys.argv[1])
is_fit[0] = sys.argv[2] == "fit"
run_server(
    engine, Credentials("id", "secret"), ServerOptions(port=0), on_listening=tell, before_stop=leave, check=check
)
engine.close()
"""


@contextlib.contextmanager
def serving(folder: Path, fitness: str = "fit") -> Iterator[tuple[subprocess.Popen[str], http.client.HTTPConnection]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "data"), fitness],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        parts = urlsplit(process.stdout.readline().strip())
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=WITHIN_S)
        with contextlib.closing(connection):
            yield process, connection
    finally:
        process.kill()
        process.communicate()


def ask(connection: http.client.HTTPConnection) -> tuple[int, str | None]:
    """A request without a signature: its status, and what becomes of the connection."""
    connection.request("POST", "/ListTable", b"", {"content-length": "0"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("connection")


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("how", ["", "fail"])
def test_it_answers_until_that_is_done_and_each_answer_ends_its_connection(tmp_path: Path, how: str) -> None:
    with serving(tmp_path) as (process, connection):
        assert ask(connection) == (400, None)
        process.send_signal(signal.SIGTERM)
        assert heard(process) == "leaving"
        assert ask(connection) == (400, "close")
        process.send_signal(signal.SIGTERM)
        assert ask(connection) == (400, "close"), "it was told already"
        _, errors = process.communicate(how + "\n", timeout=WITHIN_S)
        assert process.returncode == 0
        assert ("it cannot leave" in errors) is (how == "fail")


def test_a_second_ctrl_c_does_not_wait_for_it(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, connection):
        assert ask(connection) == (400, None)
        process.send_signal(signal.SIGINT)
        assert heard(process) == "leaving"
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 0


def test_its_health_is_what_the_check_says(tmp_path: Path) -> None:
    for fitness, status in (("fit", 200), ("unfit", 503)):
        with serving(tmp_path, fitness) as (process, connection):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, b"ok\n" if status == 200 else b"unavailable\n")
            process.terminate()
            _, errors = process.communicate("\n", timeout=WITHIN_S)
            assert ("it is not fit" in errors) is (status == 503)
            assert "Traceback" not in errors
