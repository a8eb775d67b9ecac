"""Strings as programs write them: no text ends its literal, is run, or shows as another text than it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def python_string(text: str) -> str:
    """Also what JSON would not write: marks of direction, say, which make a line look like another one."""
    return _quoted(text, lambda code: f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


def go_string(text: str) -> str:
    return _quoted(text, lambda code: f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


def node_string(text: str) -> str:
    return _quoted(text, lambda code: f"\\u{{{code:x}}}")


def java_string(text: str) -> str:
    """A ``\\u`` is replaced before the program is cut into words, as if what it names stood there: a line's end must
    not be written so, and is an octal escape."""
    return _quoted(text, _java_escape)


def one_line(text: str) -> str:
    """For a comment: what cannot be printed, an end of the line first, is escaped."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _java_escape(code: int) -> str:
    if code < 0x100:
        return f"\\{code:03o}"
    units = chr(code).encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _quoted(text: str, escape: Callable[[int], str]) -> str:
    return '"' + "".join(_SHORT.get(char) or (char if char.isprintable() else escape(ord(char))) for char in text) + '"'
