"""What a search did, as a tree for people."""

from __future__ import annotations

from typing import Any, Final

from rich.markup import escape
from rich.tree import Tree

_OF_PART: Final = ("kind", "name", "size_bytes", "documents", "rows", "query", "us")
_OF_CONDITION: Final = ("query", "estimate", "rows", "us", "scans", "predicted_us", "predicted", "needed", "weight")
_INNER: Final = ("filter", "must", "must_not", "should")


def explained(explanation: dict[str, Any]) -> Tree:
    """Part by part, condition by condition."""
    tree = Tree(f"[dim]searched in {explanation['us']:,.0f} µs[/dim]")
    for part in explanation["parts"]:
        took = ", ".join(f"{name} {_shown(value)}" for name, value in part.items() if name not in _OF_PART and value)
        head = f"{part['kind']} of {part['documents']:,} documents, {part['rows']:,} live: {took}; {part['us']:,.0f} µs"
        _add(tree.add(escape(head)), "", part["query"])
    return tree


def _add(tree: Tree, role: str, condition: dict[str, Any]) -> None:
    operands = " ".join(
        f"{name}={_shown(value)}" for name, value in condition.items() if name not in (*_OF_CONDITION, *_INNER)
    )
    rows = "not listed" if condition["rows"] is None else f"{condition['rows']:,}"
    found = f"estimated {condition['estimate']:,}, found {rows}, {condition['us']:,.0f} µs"
    weight = f" times {condition['weight']:g}" if "weight" in condition else ""
    node = tree.add(escape(f"{role}{condition['query']} {operands}{weight}: {found}"))
    for scan in condition.get("scans", ()):
        node.add(escape("looked for neighbours: " + ", ".join(f"{name} {_shown(of)}" for name, of in scan.items())))
    predicted = condition.get("predicted_us")
    if predicted:
        node.add(escape("predicted: " + ", ".join(f"{name} {us:,.0f} µs" for name, us in predicted.items())))
    chosen = condition.get("predicted")
    if chosen:
        recall = "" if chosen["recall"] is None else f", recall {chosen['recall']:.3f}"
        took = f"{chosen['distances']:,} distances, {chosen['reads']:,} reads{recall}"
        node.add(escape(f"planned: {chosen['strategy']} of a {chosen['kind']} segment, {took}"))
    for name in _INNER:
        inner = condition.get(name, [])
        for one in [inner] if isinstance(inner, dict) else inner:
            _add(node, f"{name}: ", one)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
