"""Rows as a notebook shows them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

_ROWS_MAX: Final = 50
_CHARS_MAX: Final = 120
_ELEMENTS_MAX: Final = 3
_STYLE: Final = "text-align:left;vertical-align:top"


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, is_scored: bool = False) -> str:
    """The first rows as a table, long values cut; before the columns the scores, where rows have them."""
    head = _line("th", [*(["score"] if is_scored else []), *columns])
    body = "".join(_line("td", [*_score(row, is_scored), *_values(columns, row)]) for row in rows[:_ROWS_MAX])
    rest = f"<p>and {len(rows) - _ROWS_MAX:,} more</p>" if len(rows) > _ROWS_MAX else ""
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{rest}"


def columns(name: str, declarations: Mapping[str, str], key: Sequence[str]) -> str:
    """What a table is made of."""
    body = "".join(_line("td", [one, of, "key" if one in key else ""]) for one, of in declarations.items())
    title = f"<p><b>{html.escape(name)}</b></p>"
    return f"{title}<table><thead>{_line('th', ['column', 'holds', ''])}</thead><tbody>{body}</tbody></table>"


def _line(kind: str, texts: Sequence[str]) -> str:
    cells = "".join(f'<{kind} style="{_STYLE}">{html.escape(text)}</{kind}>' for text in texts)
    return f"<tr>{cells}</tr>"


def _score(row: Any, is_scored: bool) -> list[str]:
    if not is_scored:
        return []
    return ["" if row.score is None else f"{row.score:.4f}"]


def _values(columns: Sequence[str], row: Mapping[str, Any]) -> list[str]:
    return ["" if row.get(name) is None else _text(row[name]) for name in columns]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        first = ", ".join(f"{one:.4g}" for one in value[:_ELEMENTS_MAX].tolist())
        return f"[{first}{', …' if len(value) > _ELEMENTS_MAX else ''}] ({len(value)})"
    text = value if isinstance(value, str) else repr(value) if isinstance(value, bytes | list | dict) else str(value)
    return text if len(text) <= _CHARS_MAX else f"{text[:_CHARS_MAX]}…"
