"""Conditions on the words of a TEXT field: what the kinds of queries that ask for them share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import searchable
from lutra.kernels.row_mask import RowMask
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, TextOptions
from lutra.model.queries import Operand
from lutra.search.nodes.columns import check_text, shown, shown_values
from lutra.search.nodes.node import Condition, Node, PartSearch, Unlisted
from lutra.search.scores import Docs, MatchScores
from lutra.segments.part import Part
from lutra.text.analyzers import Tokens, analyzer_of
from lutra.text.part import PatternKind
from lutra.text.statistics import TermStatistics

# What lists take, of 300,000 texts of some ten words.
POSTING_US: Final = 0.001
"""A document of one word."""
JOINED_POSTING_US: Final = 0.004
"""The same where there are other words."""
PHRASE_DOCUMENT_US: Final = 0.03
"""A document that has the rarest word of a phrase."""
_TERM_SCORE_MAX: Final = 2.2
"""k1 + 1 of BM25: no word scores more than so many times its idf, however often it is there."""


def words_in(query: str, field: FieldSchema, text: str) -> Tokens:
    """What is looked for, cut as the field's texts are. Raises ParameterInvalid where it has too many words."""
    try:
        tokens = analyzer_of(field.text or TextOptions()).query_tokens(text)
    except UnicodeEncodeError:
        raise ParameterInvalid(f"[{query}] the text holds a lone surrogate") from None
    if len(tokens) > limits.MATCH_WORDS_MAX:
        raise ParameterInvalid(
            f"[{query}] the text has {len(tokens)} words of field {field.name}, more than {limits.MATCH_WORDS_MAX}"
        )
    return tokens


def words_among(query: str, field: FieldSchema, values: Sequence[Operand]) -> tuple[str, ...]:
    """Words as they are, each once. Raises ParameterInvalid for what is no text."""
    for value in values:
        if type(value) is not str:
            raise ParameterInvalid(f"field [{field.name}] is of type TEXT: {value!r:.64} is no word of a text")
        check_text(query, "a word", value, limits.MATCH_BYTES_MAX)
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str)))


class Scored(Condition):
    """A condition whose scores need to know its words in all parts: `lutra.search.statistics` sees to that."""

    __slots__ = ()

    is_lasting = True

    field: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words(Scored):
    """``needed`` of the words; a word that is given twice counts twice."""

    field: str
    terms: tuple[str, ...]
    needed: int

    def node(self, part: PartSearch) -> Node:
        return WordsNode(part, self)

    def describe(self) -> dict[str, Any]:
        return {"query": "words", "field": self.field, "words": shown_values(self.terms), "needed": self.needed}


@dataclass(frozen=True, slots=True)
class Phrase(Scored):
    """All words, as near to each other as ``positions`` say, but for ``slop``."""

    field: str
    terms: tuple[str, ...]
    positions: tuple[int, ...]
    slop: int

    def node(self, part: PartSearch) -> Node:
        return PhraseNode(part, self)

    def describe(self) -> dict[str, Any]:
        return {"query": "phrase", "field": self.field, "words": shown_values(self.terms), "slop": self.slop}


class ScoredNode(Node):
    """Scores by BM25 (`lutra.text.part`), once it was told the statistics of all parts."""

    __slots__ = ("_own", "_statistics", "_words", "condition")

    uniform = None

    def __init__(self, search: PartSearch, condition: Scored) -> None:
        super().__init__(search)
        self.condition = condition
        self._words = searchable(search.part, condition.field)
        self._own: TermStatistics | None = None
        self._statistics: TermStatistics | None = None

    def living_statistics(self) -> TermStatistics:
        """Of the words in this part, of the rows that live. Raises StorageFailure, Corruption."""
        part = self.part
        if part.rows < part.size:
            return self._words.statistics(self.condition.terms, RowMask.all(part.size) - part.live)
        return self._in_part()

    def set_statistics(self, statistics: TermStatistics) -> None:
        """Of all parts together."""
        self._statistics = statistics

    def _in_part(self) -> TermStatistics:
        if self._own is None:
            self._own = self._words.statistics(self.condition.terms)
        return self._own

    @property
    def known(self) -> TermStatistics:
        """Of all parts; of this one alone, as long as nobody told."""
        return self._in_part() if self._statistics is None else self._statistics

    @property
    def most(self) -> float:  # type: ignore[override]
        return _TERM_SCORE_MAX * math.fsum(self.known.idf)


class WordsNode(ScoredNode):
    __slots__ = ()

    condition: Words

    def estimate(self) -> int:
        # Documents that have so many of the words have one of those that remain without the rarest others.
        each = np.sort(self._in_part().frequencies)
        count = int(each[: max(0, len(each) - self.condition.needed + 1)].sum())
        return min(self.part.rows, count)

    def _list(self) -> RowMask:
        of = self.condition
        if not 1 <= of.needed <= len(of.terms):
            return RowMask.none(self.part.size)
        return self._words.matches(of.terms, of.needed)

    def _unlisted(self) -> Unlisted | None:
        of, each = self.condition, self._in_part().frequencies / max(1, self.part.size)
        if not 1 <= of.needed <= len(of.terms):
            return None
        posting_us = POSTING_US if len(each) == 1 else JOINED_POSTING_US
        # As if words had nothing to do with each other; of how many are needed only one or all are told apart.
        passing = float(np.prod(each)) if of.needed == len(of.terms) else 1 - float(np.prod(1 - each))
        return Unlisted(float(each.sum()) * self.part.size * posting_us, passing)

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        of = self.condition
        has = [self._words.scores((term,), np.ones(1), 1.0, docs) > 0 for term in of.terms]
        return np.asarray(np.sum(has, axis=0) >= of.needed) if 1 <= of.needed <= len(has) else np.zeros(len(docs), bool)

    def scores(self, docs: Docs) -> MatchScores:
        known = self.known
        return self._words.scores(self.condition.terms, known.idf, known.average_length, docs)


class PhraseNode(ScoredNode):
    __slots__ = ()

    condition: Phrase

    def estimate(self) -> int:
        return min(self.part.rows, int(self._in_part().frequencies.min(initial=self.part.rows)))

    def _list(self) -> RowMask:
        of = self.condition
        return self._words.phrase(of.terms, of.positions, of.slop) if of.terms else RowMask.none(self.part.size)

    def _unlisted(self) -> Unlisted | None:
        if not self.condition.terms:
            return None
        estimate = self.estimate()  # of the rarest word: that so many have the phrase is a hope
        return Unlisted(estimate * PHRASE_DOCUMENT_US, estimate / max(1, self.part.size))

    def _check(self, docs: Docs) -> npt.NDArray[np.bool_]:
        of = self.condition
        if not of.terms:
            return np.zeros(len(docs), bool)
        found = self._words.phrase_scores(of.terms, of.positions, of.slop, 1.0, 1.0, docs)
        return np.asarray(found > 0)

    def scores(self, docs: Docs) -> MatchScores:
        of, known = self.condition, self.known
        return self._words.phrase_scores(
            of.terms, of.positions, of.slop, math.fsum(known.idf), known.average_length, docs
        )


@dataclass(frozen=True, slots=True)
class AnyWord(Condition):
    """One of several words, whichever: all that match score the same."""

    is_lasting = True

    field: str
    terms: tuple[str, ...]

    def node(self, part: PartSearch) -> Node:
        return MaskNode(part, self)

    def select(self, part: Part) -> RowMask:
        words = searchable(part, self.field)
        return words.matches(self.terms) if self.terms else RowMask.none(words.size)

    def describe(self) -> dict[str, Any]:
        return {"query": "terms", "field": self.field, "values": shown_values(self.terms)}


@dataclass(frozen=True, slots=True)
class WordLike(Condition):
    """A word like a pattern: all that match score the same."""

    is_lasting = True

    field: str
    kind: PatternKind
    pattern: str

    def node(self, part: PartSearch) -> Node:
        return MaskNode(part, self)

    def select(self, part: Part) -> RowMask:
        return searchable(part, self.field).like(self.kind, self.pattern)

    def describe(self) -> dict[str, Any]:
        return {"query": self.kind.name.lower(), "field": self.field, "pattern": shown(self.pattern)}


class MaskNode(Node):
    """How many match is known only once they are listed."""

    __slots__ = ("_condition",)

    def __init__(self, search: PartSearch, condition: AnyWord | WordLike) -> None:
        super().__init__(search)
        self._condition = condition

    def estimate(self) -> int:
        return self.part.rows if self._mask is None else self._mask.count

    def _list(self) -> RowMask:
        return self._condition.select(self.part)
