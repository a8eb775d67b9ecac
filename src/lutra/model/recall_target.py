"""The share of the true neighbours that a search is to find, as whoever asks may say it."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid


def require_recall_target(target: object) -> float:
    """A recall target as a float. Raises ParameterInvalid for what is none."""
    is_number = isinstance(target, float | int) and not isinstance(target, bool)
    if not is_number or not limits.RECALL_TARGET_MIN <= target <= 1:  # type: ignore[operator]
        raise ParameterInvalid(f"[recall_target] must be in [{limits.RECALL_TARGET_MIN}, 1], not {target!r}")
    return float(target)  # type: ignore[arg-type]


def read_recall_target(text: str) -> float:
    """Of a text, as a header has it. Raises ParameterInvalid."""
    try:
        return require_recall_target(float(text))
    except ValueError:
        raise ParameterInvalid(f"[recall_target] must be a number, not {text!r}") from None
