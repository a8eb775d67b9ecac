"""How many clauses must match."""

from __future__ import annotations


def needed_of(spec: int | str | None, clauses: int) -> int:
    """``2``, ``-1`` (all but one), ``75%``, ``-25%`` (all but a quarter), ``2<75%`` (all of up to two)."""
    if spec is None:
        return 0
    text = str(spec)
    if "<" in text:
        up_to, of_more = text.split("<")
        return clauses if clauses <= int(up_to) else needed_of(of_more, clauses)
    number = int(text.rstrip("%"))
    if text.endswith("%"):
        number = int(number * clauses / 100)
    return max(0, clauses + number if text.startswith("-") else number)
