"""How many ``should`` clauses must match."""

from __future__ import annotations

import re
from typing import Final

from lutra.model.errors import ParameterInvalid

_SPEC_CHARS_MAX: Final = 256
_AMOUNT: Final = re.compile(r"([+-]?\d{1,9})(%?)")
_CONDITION: Final = re.compile(r"(\d{1,9})<(\S+)")


def minimum_should_match(spec: int | str | None, clauses: int, alone: bool) -> int:
    """The number of ``clauses`` that must match; it may exceed them, and then nothing matches.

    ``alone``: there is neither ``must`` nor ``filter``, so at least one clause must match where there are any. Strings
    as Lucene and Elasticsearch read them: ``"2"``, ``"-1"`` (all but one), ``"75%"``, ``"-25%"`` (all but a quarter),
    ``"2<75%"`` (all up to 2 clauses, 75 % of more), ``"2<-25% 9<-3"``; shares are rounded down.

    Raises ParameterInvalid.
    """
    needed = 0 if spec is None else _needed(spec, clauses)
    return max(needed, 1) if alone and clauses else needed


def _needed(spec: int | str, clauses: int) -> int:
    if isinstance(spec, int):
        return max(0, spec if spec >= 0 else clauses + spec)
    if len(spec) > _SPEC_CHARS_MAX:
        raise ParameterInvalid(f"[minimum_should_match] is longer than {_SPEC_CHARS_MAX} characters")
    if "<" not in spec:
        return _amount(spec.strip(), spec, clauses)
    result = clauses
    for part in re.sub(r"\s*<\s*", "<", spec).split():
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise _invalid(spec)
        amount = _amount(match[2], spec, clauses)
        if clauses <= int(match[1]):
            break
        result = amount
    return result


def _amount(text: str, spec: str, clauses: int) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise _invalid(spec)
    number = int(match[1])
    if match[2]:
        share = abs(number) * clauses // 100
        number = -share if number < 0 else share
        negative = match[1].startswith("-")
    else:
        negative = number < 0
    return max(0, clauses + number if negative else number)


def _invalid(spec: str) -> ParameterInvalid:
    return ParameterInvalid(
        f"[minimum_should_match] {spec!r} is no count, share or condition such as 2, -1, 75%, 2<75%"
    )
