"""The Go code that the console writes: it compiles, runs, and asks what it was to ask."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
from support import golang
from support.asked_searches import created, meaning, search_asked, shape
from support.code_samples import (
    ASKED,
    ENDING,
    MORE_SEARCHES,
    NASTY,
    PLAIN_FIELDS,
    SCHEMA,
    SEARCHES,
    SORTED,
    STREAMED,
    TABLE,
)
from support.recording_proxy import RecordingProxy

from lutra.console.code import Place, of_schema, of_search
from lutra.console.code.literals import go_string
from lutra.model.geo import DistanceType, GeoDistanceSort
from lutra.model.indexes import IndexSchema
from lutra.model.queries import KnnVector, SearchRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TIMEOUT_S = 600
ALL = SEARCHES | MORE_SEARCHES
UNSAYABLE = {
    "weight": "weight of term",
    "slop": "slop of match phrase",
    "share": "[minimum_should_match] 50%",
    "inner hits": "inner hits of nested",
    "best of": "dis max",
    "docs": "the columns of an index",
    "missing": "missing of field sort",
    "highlight": "highlights",
    "filtered": "a filter of what was found",
    "aggregations": "aggregations",
    "group by field": "group-bys",
    "group by ranges": "group-bys",
    "histograms": "group-bys",
    "composite": "group-bys",
    "offset histogram": "group-bys",
    "min doc count": "group-bys",
}
PLAIN = IndexSchema(PLAIN_FIELDS)


class Programs:
    """In a module that has the SDK."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, programs: dict[str, str]) -> None:
        """``programs`` by the name of what they become. Fails where one does not compile."""
        for name, source in programs.items():
            (self._folder / name).mkdir()
            (self._folder / name / "main.go").write_text(source, encoding="utf-8")
        self._call("go", "build", "-o", "bin/", *(f"./{name}" for name in programs))

    def run(self, name: str) -> str:
        return self._call(f"bin/{name}")

    def _call(self, *command: str) -> str:
        environment = os.environ | {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = golang.installed(tmp_path_factory.mktemp("go"))
    (folder / "bin").mkdir()
    return Programs(folder)


def test_all_searches_are_asked_as_they_were_said(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    written = {name: of_search(place, ASKED, "search", SCHEMA, request)["go"] for name, request in ALL.items()}
    told = {name: program for name, program in written.items() if "package main" not in program}
    assert told == {
        name: f"// The Go SDK 4.1.3 cannot ask this search: it has no words for {why}.\n"
        for name, why in UNSAYABLE.items()
    }
    sources = {f"search{number}": written[name] for number, name in enumerate(ALL) if name not in told}
    programs.build(sources)
    for number, (name, request) in enumerate(ALL.items()):
        if name in told:
            continue
        programs.run(f"search{number}")
        assert meaning(search_asked(proxy)) == meaning(_as_go_asks(request)), name


def _as_go_asks(request: SearchRequest) -> SearchRequest:
    """Without what changes how exactly it is answered, which a note tells of."""
    query, sort = request.query, request.sort
    if isinstance(query, KnnVector):
        query = dataclasses.replace(query, num_candidates=None)
    if sort and isinstance(sort[0], GeoDistanceSort):
        sort = (dataclasses.replace(sort[0], distance_type=DistanceType.ARC),)
    return dataclasses.replace(request, query=query, sort=sort)


def test_tables_and_their_indexes_are_made(programs: Programs, proxy: RecordingProxy, place: Place) -> None:
    indexes = {"search": PLAIN, "sorted": SORTED}
    streamed = dataclasses.replace(STREAMED, options=dataclasses.replace(STREAMED.options, allow_update=True))
    sources = {
        "table": of_schema(place, TABLE, {**indexes, "everything": SCHEMA})["go"],
        "streamed": of_schema(place, streamed, {"ending": ENDING})["go"],
    }
    assert [source.splitlines()[0] for source in sources.values()] == [
        "// Search index everything is left out: the Go SDK 4.1.3 cannot say fields of type DATE.",
        "// Search index ending is left out: the Go SDK 4.1.3 cannot say the time to live of an index.",
    ]
    programs.build(sources)
    programs.run("table")
    made, made_indexes = created(proxy)
    assert made == dataclasses.replace(TABLE, indexes=TABLE.indexes[:1], has_transactions=made.has_transactions)
    assert "// Without the local index by_likes, which the Go SDK 4.1.3 cannot say" in sources["table"]
    assert {name: shape(one) for name, one in made_indexes.items()} == {
        name: shape(one) for name, one in indexes.items()
    }
    programs.run("streamed")
    made, made_indexes = created(proxy)
    assert made == dataclasses.replace(streamed, has_transactions=made.has_transactions)
    assert made_indexes == {}


def test_strings_are_what_they_were(programs: Programs) -> None:
    lines = "\n".join(f'fmt.Printf("%x\\n", {go_string(text)})' for text in NASTY)
    programs.build({"strings": f'package main\n\nimport "fmt"\n\nfunc main() {{\n{lines}\n}}\n'})
    assert programs.run("strings").splitlines() == [text.encode().hex() for text in NASTY]
