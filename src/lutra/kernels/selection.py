"""The documents of a part that meet a condition, found but not listed yet."""

from __future__ import annotations

from collections.abc import Callable

from lutra.kernels.row_mask import RowMask


class Selection:
    """What a predicate of a column found: about how many documents, before the work of listing them is done."""

    __slots__ = ("_make", "estimate")

    def __init__(self, estimate: int, make: Callable[[], RowMask]) -> None:
        """``estimate`` documents at most; ``make`` lists them."""
        self.estimate = estimate
        self._make = make

    @classmethod
    def of(cls, mask: RowMask) -> Selection:
        """Of documents that are listed already."""
        return cls(mask.count, lambda: mask)

    def mask(self) -> RowMask:
        """The documents, of as many rows as the part has. Raises StorageFailure, Corruption."""
        return self._make()
