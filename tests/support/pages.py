"""Pages of documentation as programs: blocks of Python, run from top to bottom, that show what comes out.

After a statement, ``# -> text`` shows what it prints, the value of an expression, or ``Error: message`` of what it
raises; more such lines go on. ``...`` stands for anything, and white space counts once, as in doctest.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import lutra

_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHOWN: Final = re.compile(r"\s*# -> ?(.*)")
_FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def programs(page: str) -> list[str]:
    """The blocks of Python of a page, in order, each after as many empty lines as are before it there."""
    return ["\n" * page.count("\n", 0, block.start(1)) + block[1] for block in _BLOCK.finditer(page)]


def run_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs the programs of a page in the current folder, as one module. Returns how many outputs it shows.

    Raises what a program raises and does not show, AssertionError where it shows what does not come out, or does not
    show what it prints.
    """
    module = types.ModuleType("page_of_the_guide")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look for the types of their fields
    try:
        return sum(_run(program, path, vars(module)) for program in programs(path.read_text()))
    finally:
        for value in vars(module).values():
            if isinstance(value, lutra.Database):  # that the page leaves to the end of the program
                value.close()


def _run(program: str, path: Path, names: dict[str, Any]) -> int:
    outputs = 0
    for statement, shown in _statements(program):
        came = _came_of(statement, path, names, is_error_shown=shown is not None)
        place = f"{path.name}, line {statement.end_lineno}"
        if shown is None:
            assert not came.printed, f"{place}: does not show what it prints:\n{came.printed}"
            continue
        outputs += 1
        assert doctest.OutputChecker().check_output(shown + "\n", came.text + "\n", _FLAGS), (
            f"{place}: shows\n{shown}\nand there comes\n{came.text}"
        )
    return outputs


class _Came:
    """What came of a statement."""

    def __init__(self, printed: str, value: object, error: Exception | None) -> None:
        self.printed = printed
        lines = [printed.rstrip("\n")] if printed else []
        if value is not None:
            lines.append(repr(value))
        if error is not None:
            lines.append(f"{type(error).__name__}: {error}")
        self.text = "\n".join(lines)


def _came_of(statement: ast.stmt, path: Path, names: dict[str, Any], *, is_error_shown: bool) -> _Came:
    printed, value, error = io.StringIO(), None, None
    with contextlib.redirect_stdout(printed):
        try:
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), path, "eval"), names)
            else:
                exec(compile(ast.Module([statement], []), path, "exec"), names)
        except Exception as raised:
            if not is_error_shown:
                raise
            error = raised
    return _Came(printed.getvalue(), value, error)


def _statements(program: str) -> Iterator[tuple[ast.stmt, str | None]]:
    """Each statement, and what is shown after it."""
    lines = program.splitlines()
    for statement in ast.parse(program).body:
        assert statement.end_lineno is not None
        behind = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode()
        shown = []
        for line in (behind, *lines[statement.end_lineno :]):
            found = _SHOWN.match(line)
            if found is None:
                if line is behind:
                    continue
                break
            shown.append(found[1])
        yield statement, "\n".join(shown) if shown else None


def sections(page: str) -> dict[str, str]:
    """The sections of a page, by their headings of the second level."""
    return dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))


def blocks(text: str, language: str) -> str:
    """All blocks in a language, one after the other."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def code_lines(program: str) -> int:
    """How many lines a program has as ruff lays it out, in lines of 120 characters; comments and empty ones apart."""
    options = ["--line-length", "120", "--config", "format.skip-magic-trailing-comma=true"]
    command = [sys.executable, "-m", "ruff", "format", "--isolated", *options, "--stdin-filename", "program.py", "-"]
    laid_out = subprocess.run(command, input=program, capture_output=True, text=True, check=True, timeout=60).stdout
    return sum(1 for line in laid_out.splitlines() if line.strip() and not line.lstrip().startswith("#"))
