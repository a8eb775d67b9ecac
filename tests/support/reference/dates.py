"""Dates by the formats that tests use."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
UNITS_NS = {"epoch_second": 10**9, "epoch_millis": 10**6, "epoch_micros": 10**3, "epoch_nanos": 1}
PATTERNS = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S",
    "yyyy-MM-dd HH:mm:ss.SSS": "%Y-%m-%d %H:%M:%S.%f",
    "yyyy-MM-dd'T'HH:mm:ssXXX": "%Y-%m-%dT%H:%M:%S%z",
}
"""By what is said to an index, what `strptime` calls it. Without an offset it is UTC."""


def unit_ns(formats: tuple[str, ...]) -> int | None:
    """What an integer counts; None where integers are no dates."""
    return next((UNITS_NS[name] for name in formats or ("epoch_millis",) if name in UNITS_NS), None)


def ns_of(moment: dt.datetime) -> int:
    """Since the epoch."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1_000


def parsed_ns(text: str, formats: tuple[str, ...]) -> int | None:
    """Of a text in one of the formats."""
    for name in formats:
        if name in PATTERNS:
            try:
                moment = dt.datetime.strptime(text, PATTERNS[name])
            except ValueError:
                continue
            return ns_of(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
    return None


def exact_ns(operand: object, formats: tuple[str, ...]) -> int | float | Fraction | None:
    """Of what a query compares a date with; not a whole number where it lies between two nanoseconds."""
    if isinstance(operand, dt.datetime):
        return ns_of(operand)
    if isinstance(operand, str):
        parsed = parsed_ns(operand, formats)
        if parsed is not None:
            return parsed
        operand = Fraction(operand)
    unit = unit_ns(formats)
    if unit is None or not isinstance(operand, int | float | Fraction):
        return None
    if isinstance(operand, float) and operand in (float("inf"), float("-inf")):
        return operand
    return Fraction(operand) * unit
