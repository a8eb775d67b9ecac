"""The notebook: each cell runs twice in a row, all again on what they left, and what it shows is what comes out."""

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

import lutra

NOTEBOOK = Path(__file__).parents[2] / "examples" / "lutra.ipynb"


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def run_cell(cell: dict[str, Any], names: dict[str, Any]) -> str:
    """What it prints, and the value of its last line, as a notebook shows both."""
    statements = ast.parse("".join(cell["source"])).body
    last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(statements, []), cell["id"], "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
    return printed.getvalue() + ("" if value is None else repr(value))


def text_shown(cell: dict[str, Any]) -> str:
    """What the notebook has of a cell's text; plots are left out."""
    shown = []
    for output in cell["outputs"]:
        assert output["output_type"] in ("stream", "execute_result", "display_data"), output
        if output["output_type"] == "stream":
            shown += output["text"]
        elif output["output_type"] == "execute_result":
            shown += output["data"]["text/plain"]
    return "".join(shown)


def run_all(times_each: int) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for cell in code_cells():
            came = {run_cell(cell, names) for _ in range(times_each)}
            assert len(came) == 1, f"{cell['id']} shows something else when it is run again"
            if "varies" not in cell["metadata"].get("tags", ()):  # with the release of Python or of the tz database
                assert came == {text_shown(cell)}, cell["id"]
    finally:
        names["db"].close()


def test_each_cell_runs_twice_and_all_of_them_on_another_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")  # where matplotlib is installed
    run_all(times_each=2)
    run_all(times_each=1)
    with lutra.connect("lutra-tour") as db:
        assert [db.table(name).count() > 200 for name in db.table_names()] == [True, True, True]


def test_the_notebook_is_of_no_one_machine() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not re.search(r"/(home|root|tmp|work|usr|opt|Users)/", NOTEBOOK.read_text())
    assert all(cell["execution_count"] == place for place, cell in enumerate(code_cells(), 1))
