"""``lutra instance``, and the command as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lutra.cli.main import main
from lutra.instance.engine import Engine


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data directory."""
    Engine.open(tmp_path / "data").close()
    return str(tmp_path / "data")


def test_create_and_list(data: str) -> None:
    assert run("instance", "list", "--data", data).output == ""
    assert run("instance", "create", "photos", "--data", data).output == "created instance photos\n"
    created = run("instance", "create", "music", "--data", data, "--json")
    assert json.loads(created.output) == {"created": "music"}
    assert run("instance", "list", "--data", data).output == "music\nphotos\n"
    assert json.loads(run("instance", "list", "--data", data, "--json").output) == {"instances": ["music", "photos"]}


@pytest.mark.parametrize("name", ["a", "a b", "../up", "x" * 65, ""])
def test_bad_names(tmp_path: Path, name: str) -> None:
    result = run("instance", "create", name, "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "invalid instance name" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["list"], ["create", "photos"]])
def test_what_is_no_data_directory(command: list[str], tmp_path: Path) -> None:
    """A path that was mistyped, mostly: nothing is made there."""
    (tmp_path / "empty").mkdir()
    for name, what in (("none", "there is no data directory"), ("empty", "is no data directory")):
        result = run("instance", *command, "--data", str(tmp_path / name))
        assert result.exit_code == 1
        assert what in result.stderr
        assert "`lutra serve --data` makes one" in result.stderr
    result = run("instance", *command, "--data", "s3://bucket/prefix")
    assert result.exit_code == 1
    assert "is no data directory: that is a folder of this machine" in result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_name_that_is_taken(data: str) -> None:
    for expected in (0, 1):
        result = run("instance", "create", "photos", "--data", data)
        assert result.exit_code == expected
    assert result.stderr == "Error: instance 'photos' already exists\n"


def test_the_data_directory_may_come_from_the_environment(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTRA_DATA", data)
    assert run("instance", "create", "photos").exit_code == 0
    assert Path(data, "instances", "photos").is_dir()


def _commands_with_data(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each command that has ``--data``, with an argument for each that it wants."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands_with_data(command, (*names, name))
        elif command is not None and any("--data" in parameter.opts for parameter in command.params):
            arguments = [p for p in command.params if isinstance(p, click.Argument) and p.required]
            options = [p for p in command.params if p.required and "--data" not in p.opts and "-" in p.opts[0]]
            given = (f"{p.opts[0]}={1 if isinstance(p.type, click.FloatRange) else 'x'}" for p in options)
            yield (*names, name, *("x" for _ in arguments), *given)


COMMANDS = list(_commands_with_data(main))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_empty_text_is_no_data_directory(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a variable of a shell that is not set gives it; the working directory is not meant."""
    monkeypatch.chdir(tmp_path)
    result = run(*command, "--data", "")
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "an empty text is no data directory: name a folder, as in --data ./data" in result.stderr


def test_the_commands_that_have_data_are_found() -> None:
    assert {("serve",), ("demo",), ("search",), ("fsck",)} <= set(COMMANDS)
    assert ("import", "x", "--table=x") in COMMANDS
    assert len(COMMANDS) >= 14


def test_the_home_directory(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no shell has put its path: ``--data=~/data``."""
    monkeypatch.setenv("HOME", str(Path(data).parent))
    assert run("instance", "create", "photos", "--data=~/data").exit_code == 0
    assert Path(data, "instances", "photos").is_dir()


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["serve", "--help"], ["instance", "--help"]])
def test_help_teaches_by_example(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert "\n  " in result.output
    assert "lutra serve --data ./data" in result.output or "lutra instance create photos --data ./data" in result.output


def test_unknown_commands() -> None:
    result = run("nonsense")
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


def test_every_command_listed_can_be_had() -> None:
    for name in main.list_commands(main.make_context("lutra", ["serve"])):
        assert run(name, "--help").exit_code == 0, name


def test_help_and_version_need_none_of_the_engine() -> None:
    script = (
        "import sys; from lutra.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    for arguments in (["--help"], ["--version"]):
        result = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
        loaded = set(result.stderr.split())
        assert not loaded & {"numpy", "rocksdict", "uvicorn", "google.protobuf", "sklearn", "rich", "asyncio"}


def test_version() -> None:
    assert run("--version").output.startswith("lutra, version ")
