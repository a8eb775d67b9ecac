"""The page of `python -m bench.peers.report`: what it says follows from the points."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.peers import report, report_tables
from bench.peers.points import Loaded, Point, write
from bench.peers.report_tables import Figures
from bench.peers.session import without_folders

ROOT = Path(__file__).parents[2]


def point(engine: str, qps: float, clients: int = 8, door: str = "wire", **more: object) -> Point:
    loaded = Loaded(engine, door, f"{engine} 1", "as it is", "rows", 1_000, 8, 10.0, 8.0, 30.0, 20.0, 50.0, 0.5)
    one = Point(engine, {"ef": 40}, 0.96, qps, 2.0, 4.0, clients, "all", 0.95, True, 100, 0.5, loaded, "run", 1.5, 2)
    return replace(one, **more)


@pytest.fixture
def figures() -> Figures:
    told = [point("lutra", 100, 1), point("slow", 40, 1), point("fast", 300, 1, "hosted"), point("even", 104, 1)]
    told += [point("lutra", 200), point("slow", 100), point("fast", 500, 8, "hosted"), point("even", 190)]
    told += [point("missing", 900, is_reached=False, recall=0.7), point("inside", 5_000, 8, "in process")]
    told += [point("lutra", 150, writer_rows_per_s=495.0, writer_wanted_per_s=500.0)]
    told += [point("slow", 90, writer_rows_per_s=100.0, writer_wanted_per_s=500.0)]
    return Figures(told)


def verdict(figures: Figures, name: str) -> list[str]:
    rows = [line.split("|")[1:-1] for line in report_tables.verdicts(figures, "lutra").splitlines()[2:]]
    return next([cell.strip() for cell in row[1:]] for row in rows if row[0].strip().startswith(name))


def test_who_is_ahead_level_and_behind(figures: Figures) -> None:
    own, ahead, level, behind = verdict(figures, "queries/s at recall 0.95, 8")
    assert own == "200"
    assert ahead == "slow × 2.00"
    assert level == "even × 1.05"
    assert behind == "fast × 0.40"  # neither the one that missed its recall, nor the one that is asked otherwise
    assert verdict(figures, "memory")[2].count("×") == 4  # all have as much


def test_times_of_the_clock_are_not_compared_where_the_machine_was_busy(figures: Figures) -> None:
    busy = report_tables.verdicts(Figures([replace(one, load_average=30) for one in figures.points]), "lutra")
    assert "queries/s" not in busy
    assert "| memory | 100 |" in busy


def test_a_writer_that_falls_behind_is_no_match(figures: Figures) -> None:
    assert verdict(figures, "queries/s beside a writer") == ["150", "", "", ""]


def test_what_misses_its_recall_is_in_brackets(figures: Figures) -> None:
    assert "(900 at 0.70)" in report_tables.recalls(figures)
    assert "| lutra | wire | ef 40 | 0.960 | 100 | 200 |" in report_tables.searches(figures)


def test_the_page_has_a_section_of_each_data_set(tmp_path: Path) -> None:
    path = tmp_path / "both.json"
    command = without_folders("python -m bench.peers --json /data/of/somebody/both.json --keep /data/kept")
    told = [point("lutra", 100, command=command), point("slow", 50, command=command)]
    other = [replace(one, loaded=replace(one.loaded, data="other rows")) for one in told]
    write([*told, *other], path)
    page = report.page([path], "plots")
    assert re.findall(r"^## (?!How)(.*)$", page, re.MULTILINE) == ["rows", "other rows"]
    assert "--json both.json --keep kept" in page
    assert "/data" not in page


def test_docs_peers_is_what_its_points_say() -> None:
    files = sorted((ROOT / "docs" / "peers").glob("*.json"))
    assert files
    assert (ROOT / "docs" / "peers.md").read_text() == report.page(files, "plots")
