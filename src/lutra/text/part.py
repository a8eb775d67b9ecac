"""The words of one TEXT field over the documents of a part: buffers and segments alike.

Scores are those of BM25 as Lucene has it, with k1 = 1.2 and b = 0.75: the sum over the words of

    idf * (k1 + 1) * f / (f + k1 * (1 - b + b * length / average_length))

of a document that has the word f times and ``length`` words in all. What each adds is rounded to some 2^-44 of all they
can add together, so that one document has one score, to the bit, however it was found.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.kernels import text as kernel
from lutra.kernels._native import RowMask
from lutra.kernels.selection import Selection
from lutra.model.indexes import FieldSchema
from lutra.text.statistics import TermStatistics

Docs = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


class PatternKind(enum.IntEnum):
    """How a pattern is read; the numbers are those of ``native/text/text_pattern.h``."""

    PREFIX = 0
    SUFFIX = 1
    WILDCARD = 2
    """``*`` stands for any characters, none too, ``?`` for one; nothing takes their meaning from them."""


class TextPart:
    """The words of documents 0 to ``size`` - 1, unchanging. Thread-safe; one native call each, without the GIL.

    Words are terms as an analyzer makes them. One that is given twice counts twice. A part that is read from storage
    raises StorageFailure where that fails, Corruption, naming section and block, where bytes are not those written.
    """

    def __init__(self, field: FieldSchema, native: kernel.TextPart) -> None:
        self.field = field
        self.native = native
        """For `best` and `lutra.text.writer`."""

    @property
    def size(self) -> int:
        return self.native.size

    def exists(self) -> Selection:
        """Documents that have a text, be it without a word."""
        return Selection(self.size, self.native.exists)

    def statistics(self, terms: Sequence[str], left_out: RowMask | None = None) -> TermStatistics:
        """Of the documents that are not ``left_out``: where those are the deleted ones, of what lives, exactly.

        Where some are left out, postings are read that may be theirs, so this takes as long as they are many.
        """
        return TermStatistics(*self.native.statistics(terms, left_out))

    def matches(self, terms: Sequence[str], needed: int = 1) -> RowMask:
        """Documents that have ``needed`` of the words, at least one."""
        return self.native.matches(terms, needed)

    def phrase(self, terms: Sequence[str], positions: Sequence[int], slop: int = 0) -> RowMask:
        """Documents that have all words as ``positions`` say, but for ``slop``.

        Each word takes an occurrence of its own. Where it stands in the text, less where it stands in the phrase, is
        its place: these may differ by ``slop`` at most. 0 is the phrase itself; two neighbours that changed places
        take 2 (Lucene's sloppy phrases).
        """
        return self.native.phrase(terms, positions, slop)

    def like(self, kind: PatternKind, pattern: str) -> RowMask:
        """Documents that have a word like ``pattern``. A suffix looks at all terms there are."""
        return self.native.like(kind, pattern)

    def terms_like(self, kind: PatternKind, pattern: str, most: int) -> list[str]:
        """The first ``most`` words like ``pattern``, in the order of their UTF-8."""
        return self.native.terms_like(kind, pattern, most)

    def scores(self, terms: Sequence[str], idf: Scores, average_length: float, docs: Docs) -> Scores:
        """float64[docs]: of each of ``docs`` (int64, ascending); 0 where it has none of the words.

        :param idf: float64[words], finite and not negative: a word's idf, times the query's weight.
        """
        return self.native.scores(terms, idf, average_length, docs)

    def phrase_scores(
        self,
        terms: Sequence[str],
        positions: Sequence[int],
        slop: int,
        idf: float,
        average_length: float,
        docs: Docs,
    ) -> Scores:
        """As `scores`, of the phrase as one word: f is how often it is there; ``idf`` that of its words together.

        With ``slop``, each stretch that matches and has no other within it counts 1 / (1 + its places' difference).
        """
        return self.native.phrase_scores(terms, positions, slop, idf, average_length, docs)

    def topk(
        self,
        terms: Sequence[str],
        idf: Scores,
        average_length: float,
        needed: int,
        k: int,
        mask: RowMask | None = None,
    ) -> tuple[Docs, Scores]:
        """Of the documents of ``mask`` that `matches` gives the ``k`` that score highest, then by number."""
        [(docs, scores, _)] = best([self], [mask], terms, idf, average_length, needed, k)
        return docs, scores

    def digests(self, salt: int) -> npt.NDArray[np.uint64]:
        """uint64[size]: the same for the same words at the same positions, whatever the part. ``salt``: 64 bits."""
        return self.native.digests(salt)


def best(
    parts: Sequence[TextPart],
    masks: Sequence[RowMask | None],
    terms: Sequence[str],
    idf: Scores,
    average_length: float,
    needed: int,
    k: int,
    in_part: bool = False,
) -> list[tuple[Docs, Scores, bool]]:
    """What `TextPart.topk` gives of each part, but for what is not among the ``k`` best of the parts before it.

    One native call; those with the most documents first make it the shortest. Beside each: whether the time was enough;
    raises RequestTimeout where it was not, unless ``in_part``.
    """
    natives = [part.native for part in parts]
    return kernel.text_best(natives, masks, terms, idf, average_length, needed, k, in_part)
