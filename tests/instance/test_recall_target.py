"""An index's recall target through the embedded door: set, kept, and in place of it a search's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lutra
from lutra.cli.main import main
from lutra.model.errors import ParameterInvalid

VECTOR = np.ones(4, np.float32)


def filled(database: lutra.Database) -> lutra.Table:
    table = database.create_table("photos", key={"id": str}, fields={"n": int, "v": lutra.Vector(4, "euclidean")})
    table.put_many([{"id": str(n), "n": n, "v": VECTOR * n} for n in range(20)])
    return table


def explained(table: lutra.Table, **more: object) -> str:
    return str(table.search(VECTOR, limit=3, explain=True, **more).explanation)  # type: ignore[arg-type]


def test_a_target_is_kept_with_the_index(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as database:
        table = filled(database)
        assert table.recall_target == 0.95
        table.set_recall_target(0.99)
        assert table.recall_target == 0.99
        assert "0.99" in explained(table)
        table.add_field("m", int)
        assert table.recall_target == 0.99, "a new schema keeps it"
    with lutra.connect(tmp_path) as database:
        table = database.table("photos")
        assert table.recall_target == 0.99
        assert "'recall_target': 0.8" in explained(table, recall=0.8)
        assert [row["id"] for row in table.search(VECTOR, limit=2, recall=1.0)] == ["1", "0"]
        (many,) = table.search_many([VECTOR], limit=2, recall=1.0)
        assert [row["id"] for row in many] == ["1", "0"]


@pytest.mark.parametrize("target", [0, 0.4, 1.1, float("nan"), True, "most"])
def test_what_is_no_share_is_refused(tmp_path: Path, target: object) -> None:
    with lutra.connect(tmp_path) as database:
        table = filled(database)
        with pytest.raises(ParameterInvalid, match="recall_target"):
            table.set_recall_target(target)  # type: ignore[arg-type]
        with pytest.raises(ParameterInvalid, match="recall_target"):
            table.search(VECTOR, recall=target)  # type: ignore[arg-type]
        with pytest.raises(ParameterInvalid, match="recall_target"):
            table.search_many([VECTOR], recall=target)  # type: ignore[arg-type]
        assert table.recall_target == 0.95


def test_it_goes_with_vectors_only(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as database:
        table = database.create_table("plain", key={"id": str}, fields={"n": int})
        with pytest.raises(ParameterInvalid, match="no vector field"):
            table.set_recall_target(0.99)
        with pytest.raises(ParameterInvalid, match="give one"):
            table.search(where=lutra.col("n") > 1, recall=0.99)


def test_the_command_sets_it(tmp_path: Path) -> None:
    with lutra.connect(tmp_path, instance="main") as database:
        filled(database)
    told = CliRunner().invoke(main, ["index", "stats", "--data", str(tmp_path), "--json"])
    (index,) = (found["index"] for found in json.loads(told.output)["indexes"])
    arguments = ["index", "set", "--data", str(tmp_path), "--instance", "main", "photos", index]
    result = CliRunner().invoke(main, [*arguments, "--recall-target", "0.98", "--json"])
    assert result.exit_code == 0, result.output
    assert '"recall_target": 0.98' in result.output
    assert CliRunner().invoke(main, [*arguments, "--recall-target", "0.2"]).exit_code == 2
    with lutra.connect(tmp_path, instance="main") as database:
        assert database.table("photos").recall_target == 0.98
