"""Pages of the SDK guide as programs of their languages: all blocks of a page, and what they say is printed.

``// -> text`` after a line of a block is what it prints; more such lines go on. ``...`` stands for anything.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Final

from support.pages import blocks

FOLDER: Final = Path(__file__).parents[2] / "docs" / "sdk"
_SHOWN: Final = re.compile(r"^ *// -> ?(.*)$", re.MULTILINE)


def program(name: str, language: str) -> str:
    """The blocks of a page, one after the other."""
    return blocks((FOLDER / f"{name}.md").read_text(), language)


def assert_prints(program: str, printed: str) -> None:
    """That a program printed what it shows, line by line."""
    shown = _SHOWN.findall(program)
    lines = printed.splitlines()
    assert len(shown) >= 15, "it shows next to nothing"
    for number, (expected, line) in enumerate(zip(shown, lines, strict=False), 1):
        fits = doctest.OutputChecker().check_output(expected + "\n", line + "\n", doctest.ELLIPSIS)
        assert fits, f"line {number}: shows\n{expected}\nand there comes\n{line}"
    assert len(shown) == len(lines), f"shows {len(shown)} lines, and there come {len(lines)}:\n{printed}"


def java_class(program: str) -> str:
    """A program of Java: imports and methods of blocks as members of a class, the rest as its main method."""
    imports = re.findall(r"^import .*;$", program, re.MULTILINE)
    rest = re.sub(r"^import .*;\n", "", program, flags=re.MULTILINE)
    methods = re.findall(r"^static [^\n]*\{\n.*?^}$", rest, re.DOTALL | re.MULTILINE)
    for method in methods:
        rest = rest.replace(method, "")
    fields = re.findall(r"^static [^({]*;$", rest, re.MULTILINE)
    body = re.sub(r"^static [^({]*;\n", "", rest, flags=re.MULTILINE)
    members = "\n".join([*fields, *methods])
    main = f"public static void main(String[] arguments) throws Exception {{\n{body}\n}}"
    return "\n".join([*imports, "public class Guide {", members, main, "}", ""])


def go_package(program: str) -> str:
    """A program of Go: its imports and functions, and the rest as its main function."""
    imports = re.findall(r"^import \(.*?^\)$", program, re.DOTALL | re.MULTILINE)
    functions = re.findall(r"^func .*?^}$", program, re.DOTALL | re.MULTILINE)
    rest = program
    for part in (*imports, *functions):
        rest = rest.replace(part, "")
    return "\n".join(["package main", *imports, *functions, f"func main() {{\n{rest}\n}}", ""])
