"""The Node.js code that the console writes: it runs, and asks what it was to ask."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from support import node
from support.asked_searches import created, meaning, search_asked, shape
from support.code_samples import (
    ASKED,
    ENDING,
    JSON_FIELDS,
    MORE_FIELDS,
    MORE_SEARCHES,
    NASTY,
    NUMBERED_FIELDS,
    PLAIN_FIELDS,
    SCHEMA,
    SEARCHES,
    SORTED,
    STREAMED,
    TABLE,
)
from support.recording_proxy import RecordingProxy

from lutra.console.code import Place, of_schema, of_search
from lutra.console.code.literals import node_string
from lutra.model.indexes import IndexSchema

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TIMEOUT_S = 60
ALL = SEARCHES | MORE_SEARCHES
UNSAYABLE = {
    "slop": "slop of match phrase",
    "share": "[minimum_should_match] 50%",
    "near enough": "min score of knn vector",
    "best of": "dis max",
    "docs": "doc sort",
    "missing": "missing fields of field sort",
    "filtered": "a filter of what was found",
}
SAYABLE = IndexSchema((*PLAIN_FIELDS, *MORE_FIELDS, *NUMBERED_FIELDS))


class Programs:
    """Beside the SDK."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, source: str) -> str:
        program = self._folder / "program.js"
        program.write_text(source, encoding="utf-8")
        done = subprocess.run(
            ["node", "--no-deprecation", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{source}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = tmp_path_factory.mktemp("node")
    node.installed(folder)
    return Programs(folder)


def test_all_searches_are_asked_as_they_were_said(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    for name, request in ALL.items():
        program = of_search(place, ASKED, "search", SCHEMA, request)["node"]
        if name in UNSAYABLE:
            why = UNSAYABLE[name]
            assert program == f"// The Node.js SDK 5.6.5 cannot ask this search: it has no words for {why}.\n"
            continue
        programs.run(program)
        assert meaning(search_asked(proxy)) == meaning(request), name


def test_tables_and_their_indexes_are_made(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    indexes = {"search": SAYABLE, "sorted": SORTED}
    json_fields = IndexSchema(JSON_FIELDS)
    program = of_schema(place, TABLE, {**indexes, "json": json_fields})["node"]
    assert program.startswith(
        "// Search index json is left out: the Node.js SDK 5.6.5 cannot say the JSON type of field author.\n"
    )
    programs.run(program)
    made, made_indexes = created(proxy)
    assert made == dataclasses.replace(TABLE, has_transactions=made.has_transactions)
    assert {name: shape(one) for name, one in made_indexes.items()} == {
        name: shape(one) for name, one in indexes.items()
    }
    programs.run(of_schema(place, STREAMED, {"ending": ENDING})["node"])
    made, made_indexes = created(proxy)
    assert made == dataclasses.replace(STREAMED, has_transactions=made.has_transactions)
    assert {name: shape(one) for name, one in made_indexes.items()} == {"ending": shape(ENDING)}


def test_strings_are_what_they_were(programs: Programs) -> None:
    source = f"console.log(JSON.stringify([{', '.join(map(node_string, NASTY))}]));"
    assert json.loads(programs.run(source)) == list(NASTY)
