"""Writes the tables of docs/search-reference.md that follow from the code: ``python -m tools.reference_tables``.

A test compares them with what stands there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.fields.kind import FieldKind
from lutra.fields.kinds import KINDS
from lutra.model import limits
from lutra.model.indexes import FieldSchema, FieldType, JsonType

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "search-reference.md"
_MARK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SOURCE: Final = Path(limits.__file__)


def written(page: str) -> str:
    """``page`` with the tables as they follow from the code."""
    tables = {"fields": fields_table(), "limits": limits_table()}
    return _MARK.sub(lambda match: f"{match[1]}\n{tables[match[2]]}\n\n{match[3]}", page)


# --- fields -----------------------------------------------------------------------------------------------------------


def kinds() -> Iterator[tuple[str, FieldKind]]:
    """Every kind of field by its name; JSON is two."""
    for type_, kind in KINDS.items():
        if type_ is FieldType.JSON:
            for json_type in JsonType:
                yield f"JSON, {json_type.name}_JSON", kind.of(FieldSchema("field", type_, json_type=json_type))
        else:
            yield type_.name, kind


def fields_table() -> str:
    """What each kind is fed from, and what it can."""
    columns = (
        "columns",
        "virtual from",
        "Term, Terms",
        "Range",
        "strings",
        "special",
        "sort",
        "groups",
        "sums",
        "collapse",
    )
    lines = [_line("type", *columns), _line(*["---"] * (len(columns) + 1))]
    lines += [_line(name, *_abilities(kind)) for name, kind in kinds()]
    return "\n".join(lines)


def _abilities(kind: FieldKind) -> list[str]:
    special = {
        "words scored by BM25, highlighting": kind.is_searchable,
        "KnnVector": kind.is_nearest,
        "boxes, distances, polygons; sorts and groups by distance, geohash": kind.is_located,
        "Nested": kind.is_nested,
        "paths": kind.holds_objects and not kind.is_nested,
    }
    return [
        ", ".join(sorted(column.value for column in kind.column_types)),
        ", ".join(sorted(column.value for column in kind.virtual_types)),
        "words" if kind.is_searchable else _yes(kind.is_filterable),
        _yes(kind.is_ordered),
        "of a word" if kind.is_searchable else _yes(kind.has_strings),
        "; ".join(name for name, has in special.items() if has),
        _yes(kind.is_sortable),
        _yes(kind.is_grouped),
        _yes(kind.is_number or kind.is_date),
        _yes(kind.is_collapsible),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else ""


# --- limits -----------------------------------------------------------------------------------------------------------


def limits_table() -> str:
    """All limits by what they are of, with what the code says of each."""
    lines: list[str] = []
    above = ""
    for section, name, value, said in _constants():
        if section != above:
            lines += [*([""] if lines else []), f"### Of {section.lower()}", "", "| limit | value | |", "|---|---|---|"]
            above = section
        shown = f"`{value.pattern}`" if isinstance(value, re.Pattern) else f"{value:,}"
        lines.append(_line(f"`{name}`", shown, said.replace("``", "`")))
    return "\n".join(lines)


def _constants() -> Iterator[tuple[str, str, float | re.Pattern[str], str]]:
    """Each constant of `lutra.model.limits` with the comment that it stands under and the text that follows it."""
    source = _SOURCE.read_text()
    sections = [
        (number, line.lstrip("# ")) for number, line in enumerate(source.splitlines(), 1) if line.startswith("# ")
    ]
    body = ast.parse(source).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        said = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said = re.sub(r"\s+", " ", str(after.value.value)).replace("|", "\\|")
        section = [title for number, title in sections if number < node.lineno][-1]
        yield section, node.target.id, getattr(limits, node.target.id), said


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
