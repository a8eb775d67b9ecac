"""What BM25 has to know of all parts of an index before it scores a document of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """Of some words, in some parts. Those of several parts are added."""

    frequencies: npt.NDArray[np.int64]
    """int64[words]: how many documents have each."""
    documents: int
    """That have a word at all."""
    tokens: int
    """Words of all documents together, each as often as it is there."""

    def __add__(self, other: TermStatistics) -> TermStatistics:
        return TermStatistics(
            self.frequencies + other.frequencies, self.documents + other.documents, self.tokens + other.tokens
        )

    @property
    def average_length(self) -> float:
        """Words of a document; 1 where there is none."""
        return self.tokens / self.documents if self.documents else 1.0

    @property
    def idf(self) -> npt.NDArray[np.float64]:
        """float64[words], as Lucene has it: ln(1 + (documents - frequency + 0.5) / (frequency + 0.5))."""
        frequencies = self.frequencies
        return np.log1p((self.documents - frequencies + 0.5) / (frequencies + 0.5))
