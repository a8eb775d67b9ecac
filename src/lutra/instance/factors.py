"""What columns say of how much a row counts; made by :class:`Column`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ModifierName = Literal["none", "log", "log1p", "log2p", "ln", "ln1p", "ln2p", "square", "sqrt", "reciprocal"]
ShapeName = Literal["gauss", "exp", "linear"]


@dataclass(frozen=True, slots=True)
class FactorBoost:
    """Rows count by the value of a column; made by :meth:`Column.factor`."""

    column: str
    modifier: ModifierName = "none"
    times: float = 1.0
    missing: float | None = None


@dataclass(frozen=True, slots=True)
class DecayBoost:
    """Rows count less the farther the value of a column is from another; made by :meth:`Column.decay`."""

    column: str
    origin: object
    scale: object
    offset: object = None
    at_scale: float = 0.5
    shape: ShapeName = "gauss"


Boost = FactorBoost | DecayBoost
