"""The Java code that the console writes: it compiles, runs, and asks what it was to ask."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from support import java
from support.asked_searches import created, meaning, search_asked, shape
from support.code_samples import ASKED, ENDING, MORE_SEARCHES, NASTY, SCHEMA, SEARCHES, SORTED, STREAMED, TABLE
from support.recording_proxy import RecordingProxy

from lutra.console.code import Place, of_schema, of_search
from lutra.console.code.literals import java_string

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN_TIMEOUT_S = 120
ALL = SEARCHES | MORE_SEARCHES


class Programs:
    """Run one after the other, in one process: which of them is told by its name."""

    def __init__(self, archives: Path, folder: Path) -> None:
        self._archives = archives
        self._folder = folder

    def compile(self, programs: dict[str, str]) -> None:
        """``programs`` by the name of their class. Fails where one does not compile."""
        for name, source in programs.items():
            (self._folder / f"{name}.java").write_text(source, encoding="utf-8")
        self._call("javac", "-encoding", "UTF-8", *(f"{name}.java" for name in programs))

    def run(self, name: str) -> str:
        return self._call("java", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", name)

    def _call(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [command, "-cp", f"{self._archives}/*:.", *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(java.installed(tmp_path_factory.mktemp("java")), tmp_path_factory.mktemp("programs"))


def test_all_searches_are_asked_as_they_were_said(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    written = {name: of_search(place, ASKED, "search", SCHEMA, request)["java"] for name, request in ALL.items()}
    assert not [name for name, program in written.items() if program.startswith("//")]
    classes = {f"Search{number}": name for number, name in enumerate(written)}
    sources = {
        one: written[name].replace("public class Search ", f"public class {one} ") for one, name in classes.items()
    }
    calls = "\n".join(f'{one}.main(arguments); System.out.println("> done");' for one in classes)
    sources["All"] = f"public class All {{ public static void main(String[] arguments) {{\n{calls}\n}} }}"
    programs.compile(sources)
    assert programs.run("All").count("> done") == len(written)
    for asked, (name, request) in zip(proxy.take(), ALL.items(), strict=True):
        proxy.add(asked)
        assert meaning(search_asked(proxy)) == meaning(request), name


def test_tables_and_their_indexes_are_made(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    for table, indexes in ((TABLE, {"search": SCHEMA, "sorted": SORTED}), (STREAMED, {"ending": ENDING})):
        program = of_schema(place, table, indexes)["java"]
        assert not program.startswith("//")
        programs.compile({"CreateTable": program})
        programs.run("CreateTable")
        made, made_indexes = created(proxy)
        assert made == dataclasses.replace(table, has_transactions=made.has_transactions)
        assert {name: shape(one) for name, one in made_indexes.items()} == {
            name: shape(one) for name, one in indexes.items()
        }


def test_strings_are_what_they_were(programs: Programs) -> None:
    lines = "\n".join(
        f'for (byte one : {java_string(text)}.getBytes("UTF-8")) System.out.printf("%02x", one);\nSystem.out.println();'
        for text in NASTY
    )
    main = f"public static void main(String[] arguments) throws Exception {{\n{lines}\n}}"
    programs.compile({"Strings": f"public class Strings {{ {main} }}"})
    assert programs.run("Strings").splitlines() == [text.encode().hex() for text in NASTY]
