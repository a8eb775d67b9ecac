from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lutra.demo import documentation
from lutra.demo.documentation import Entry, read_standard_library
from lutra.model.errors import LutraError


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    return {entry.name: entry for entry in read_standard_library()}


def test_the_standard_library_is_there(entries: dict[str, Entry]) -> None:
    assert len(entries) >= 8_000
    assert list(entries) == sorted(entries)
    kinds = {entry.kind for entry in entries.values()}
    assert kinds == {"module", "class", "exception", "function", "method", "property"}


@pytest.mark.parametrize(
    ("name", "module", "kind", "summary"),
    [
        ("json", "json", "module", "JSON"),
        ("json.dumps", "json", "function", "Serialize"),
        ("json.JSONDecodeError", "json", "exception", "Subclass of ValueError"),
        ("asyncio.gather", "asyncio", "function", "Return a future"),
        ("os.listdir", "os", "function", "Return a list"),
        ("os.path.join", "os.path", "function", "Join two or more"),
        ("io.BytesIO", "io", "class", "Buffered I/O"),
        ("time.strptime", "time", "function", "Parse a string"),
        ("datetime.datetime.strptime", "datetime", "method", "string, format"),
        ("math.sqrt", "math", "function", "Return the square root"),
        ("builtins.str.split", "builtins", "method", "Return a list"),
        ("collections.deque.append", "collections", "method", "Add an element"),
        ("concurrent.futures.Future", "concurrent.futures", "class", "Represents the result"),
    ],
)
def test_entries_stand_under_the_name_people_know(
    entries: dict[str, Entry], name: str, module: str, kind: str, summary: str
) -> None:
    entry = entries[name]
    assert (entry.module, entry.kind) == (module, kind)
    assert entry.summary.startswith(summary)


def test_signatures_and_summaries_are_one_line(entries: dict[str, Entry]) -> None:
    assert entries["json.load"].signature.startswith("(fp, *, cls=None")
    assert entries["time.strptime"].signature == "(string, format) -> struct_time"
    for entry in entries.values():
        assert "\n" not in entry.summary
        assert len(entry.summary) <= 300
        assert " at 0x" not in entry.signature


def test_nothing_of_this_machine_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THIS_TEST", "a-secret-value")
    found = read_standard_library()
    text = "".join(entry.signature + entry.doc for entry in found)
    assert "a-secret-value" not in text
    assert sys.prefix not in text
    assert sys.base_prefix not in text
    by_name = {entry.name: entry for entry in found}
    assert by_name["platform.architecture"].signature == "(executable=..., bits='', linkage='')"
    assert by_name["textwrap.indent"].signature == "(text, prefix, predicate=None)"


def test_reading_twice_finds_the_same(entries: dict[str, Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    assert read_standard_library() == list(entries.values())


def test_private_and_acting_modules_are_not(entries: dict[str, Entry]) -> None:
    modules = {entry.module for entry in entries.values()}
    assert not modules & {"antigravity", "this", "idlelib", "test", "turtledemo", "posix", "_io"}
    assert not any(part.startswith("_") for name in entries for part in name.split("."))


def test_reading_it_prints_nothing_and_writes_nothing(tmp_path: Path) -> None:
    script = str(documentation.SCRIPT)
    environment = {**os.environ, "HOME": str(tmp_path), "BROWSER": "false"}
    finished = subprocess.run(
        [sys.executable, "-I", "-B", "-W", "ignore", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert finished.returncode == 0
    assert finished.stderr == b""
    assert finished.stdout.startswith(b'[{"name"')
    assert list(tmp_path.iterdir()) == []


def test_a_failing_interpreter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documentation, "SCRIPT", Path("/nowhere/inspection.py"))
    with pytest.raises(LutraError, match=r"exit 2.*No such file"):
        read_standard_library()
