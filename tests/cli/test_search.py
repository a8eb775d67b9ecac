"""``lutra search`` as people run it: what it prints and its exit status; as a process where that is what matters."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.lutra_command import Ran, run_lutra

import lutra
from lutra.demo.documentation import read_standard_library
from lutra.demo.library import Library

MODULES = {"json", "re", "subprocess", "shutil", "gzip", "heapq", "string", "time", "datetime", "argparse"}
COMMAND = [sys.executable, "-m", "lutra.cli.main", "search"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("demo")
    with lutra.connect(data) as db:
        Library.fill(db, data, [entry for entry in read_standard_library() if entry.module in MODULES])
    return data


def search(data: Path, *arguments: str, stdin: str = "") -> Ran:
    return run_lutra("search", "--data", str(data), *arguments, stdin=stdin)


def search_process(data: Path, *arguments: str) -> Ran:
    environment = os.environ | {"COLUMNS": "120", "TERM": "dumb"}
    command = [*COMMAND, "--data", str(data), *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_one_question(data: Path) -> None:
    found = search_process(data, "copy a directory tree recursively", "--limit", "3")
    assert found.status == 0, found.stderr
    assert "shutil.copytree" in found.stdout
    assert "Recursively copy a directory tree" in found.stdout
    assert "rows searched in" in found.stdout


def test_json_with_a_filter(data: Path) -> None:
    found = search(
        data, "open a file", "--where", "kind = function and module in (gzip, json)", "--json", "--limit", "4"
    )
    answer = json.loads(found.stdout)
    assert answer["question"] == "open a file"
    assert answer["rows_searched"] > 200
    assert sum(part["rows"] for part in answer["parts"]) == answer["rows_searched"]
    assert all(part["strategy"] and not part["fallback"] for part in answer["parts"])
    assert len(answer["results"]) == 4
    assert {result["module"] for result in answer["results"]} <= {"gzip", "json"}
    assert {result["kind"] for result in answer["results"]} == {"function"}
    scores = [result["score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)


def test_by_words(data: Path) -> None:
    found = search(data, "heap invariant", "--text", "--json", "--limit", "5")
    answer = json.loads(found.stdout)
    assert len(answer["results"]) == 5
    assert any(result["module"] == "heapq" for result in answer["results"])
    assert "explain" not in answer
    nothing = search(data, "zyzzyva", "--text", "--json")
    assert json.loads(nothing.stdout)["results"] == []


def test_explanations(data: Path) -> None:
    """For people a tree, for programs JSON."""
    found = search(data, "compress", "--where", "module = gzip", "--explain")
    assert found.status == 0, found.stderr
    assert re.search(r"searched in [\d,]+ µs", found.stdout)
    assert "knn_vector field=embedding top_k=5" in found.stdout
    assert re.search(r"filter: term field=module value=gzip: estimated [\d,]+, found [\d,]+", found.stdout)
    answer = json.loads(search(data, "compress", "--text", "--explain", "--json").stdout)
    (part,) = [part for part in answer["explain"]["parts"] if part["rows"]]
    assert part["rows"] == answer["rows_searched"]
    assert part["query"]["words"] == ["compress"]


def test_questions_from_a_pipe_go_on_after_a_wrong_one(data: Path) -> None:
    lines = [
        "priority queue",
        ":where kind = nonsense and",
        ":where module = json",
        "parse",
        "zyzzyva",
        ":where",
        ":limit 1",
        "split a string",
        "",
    ]
    found = search(data, "--json", stdin="\n".join(lines))
    assert found.status == 0
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert [answer["question"] for answer in answers] == ["priority queue", "parse", "split a string"]
    assert [answer["where"] for answer in answers] == [None, "module = json", None]
    assert [len(answer["results"]) for answer in answers] == [5, 5, 1]
    assert found.stderr.splitlines() == [
        "Error: filter: expected a column, at its end",
        "Error: no word of 'zyzzyva' occurs in the documentation",
    ]


def test_commands_of_the_prompt(data: Path) -> None:
    lines = ["priority queue", ":show 1", ":help", ":nothing", ":show 99", ":limit many", ":quit", "not asked"]
    found = search(data, stdin="\n".join(lines))
    assert found.status == 0
    assert "heapq" in found.stdout
    assert ":where FILTER" in found.stdout
    assert "not asked" not in found.stdout
    assert found.stderr.splitlines() == [
        "Error: there is no command :nothing",
        "Error: give a number from 1 to 5",
        "Error: give a number from 1 to 1000",
    ]
    assert "nothing to show" in search(data, stdin=":show 1\n").stderr


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["x", "--where", "color = red"], 1, "no column 'color', at 'color = red': use name, module, kind"),
        (["x", "--limit", "0"], 2, "0 is not in the range"),
        (["zyzzyva"], 1, "no word of 'zyzzyva'"),
    ],
)
def test_what_is_wrong_is_said(data: Path, arguments: list[str], status: int, complaint: str) -> None:
    found = search(data, *arguments)
    assert (found.status, found.stdout) == (status, "")
    assert complaint in found.stderr


def test_a_folder_without_demo_data_is_left_alone(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        found = search(folder, "x")
        assert found.status == 1
        assert f"holds no demo data: run `lutra demo --data {folder}` first" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_process_has(data: Path) -> None:
    with lutra.connect(data):
        found = search_process(data, "copy a directory tree recursively", "--limit", "3")
    assert (found.status, found.stderr) == (0, "")
    assert "shutil.copytree" in found.stdout


@pytest.mark.parametrize("leave", [b"\x04", b"\x03"])
def test_the_prompt_is_left_cleanly(data: Path, leave: bytes) -> None:
    terminal, inside = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*COMMAND, "--data", str(data)],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environment,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(inside)
    try:
        _read_until(terminal, rb"\? ")
        os.write(terminal, b"priority queue\n")
        _read_until(terminal, rb"(?s)heapq.*rows searched.*\n\? ")
        # The prompt is shown a moment before keys are listened to: a key pressed in between waits for the next.
        for _ in range(40):
            os.write(terminal, leave)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert process.wait(timeout=0.5) == 0
                break
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _take_terminal() -> None:
    """Makes the terminal on stdin the process's own, so that Ctrl-C typed there reaches it."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that is ignored stays so in a process's children


def _read_until(terminal: int, pattern: bytes) -> None:
    read = b""
    deadline = time.monotonic() + 20
    while not re.search(pattern, read):
        assert time.monotonic() < deadline, read
        if select.select([terminal], [], [], 0.1)[0]:
            read += os.read(terminal, 4096)
