"""Which words of a text a query looks for: what is shown of a row that it found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lutra.kernels.wildcard import ends_with, like
from lutra.model.nested import Nested
from lutra.model.queries import (
    Match,
    MatchPhrase,
    Prefix,
    Query,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.query_parts import reasons_within
from lutra.text.analyzers import Analyzer, Tokens

Pattern = Prefix | Suffix | Wildcard


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that must be near each other: ``positions`` go with ``terms``, by ``slop`` in all they may be elsewhere."""

    terms: tuple[str, ...]
    positions: tuple[int, ...]
    slop: int


@dataclass(slots=True)
class Wanted:
    """Words by themselves, words of phrases, and patterns of words."""

    terms: set[str] = field(default_factory=set)
    phrases: list[Phrase] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.terms or self.phrases or self.patterns)

    def found_in(self, tokens: Tokens) -> list[int]:
        """The numbers of the tokens that are looked for, ascending. ``tokens`` are of one text, not of an array."""
        terms = self.terms | self._like(tokens) if self.patterns else self.terms
        found = {number for number, term in enumerate(tokens.terms) if term in terms}
        for phrase in self.phrases:
            found.update(_of_phrase(phrase, tokens))
        return sorted(found)

    def _like(self, tokens: Tokens) -> set[str]:
        """The words of the text that are like a pattern."""
        distinct = list(set(tokens.terms))
        encoded = [term.encode() for term in distinct]
        found: set[str] = set()
        for pattern in self.patterns:
            if isinstance(pattern, Prefix):
                found.update(term for term in distinct if term.startswith(pattern.prefix))
                continue
            if isinstance(pattern, Suffix):
                flags = ends_with(encoded, pattern.suffix.encode())
            else:
                flags = like(encoded, pattern.pattern.encode())
            found.update(term for term, flag in zip(distinct, flags.tolist(), strict=True) if flag)
        return found


def wanted_of(query: Query, name: str, analyzer: Analyzer) -> Wanted:
    """What ``query`` looks for in the TEXT field ``name``: in whatever part of it, but for what must not be there."""
    wanted = Wanted()
    for leaf in _leaves(query):
        match leaf:
            case Term(field=own, value=str(value)) if own == name:
                wanted.terms.add(value)
            case Terms(field=own, values=values) if own == name:
                wanted.terms.update(value for value in values if isinstance(value, str))
            case Match(field=own, text=text) if own == name:
                wanted.terms.update(analyzer.query_tokens(text).terms)
            case MatchPhrase(field=own, text=text, slop=slop) if own == name:
                tokens = analyzer.query_tokens(text)
                if tokens.terms:
                    wanted.phrases.append(Phrase(tuple(tokens.terms), tuple(tokens.positions), slop))
            case Prefix(field=own) | Suffix(field=own) | Wildcard(field=own) if own == name:
                wanted.patterns.append(leaf)
    return wanted


def _leaves(query: Query) -> Iterator[Query]:
    """Itself, where it has no parts; of others what may be why something matches."""
    parts = (query.query,) if isinstance(query, Nested) else reasons_within(query)
    if not parts:
        yield query
    for part in parts:
        yield from _leaves(part)


def _of_phrase(phrase: Phrase, tokens: Tokens) -> Iterator[int]:
    """The numbers of the tokens that are part of the phrase somewhere.

    A token is moved back by the place that its word has in the phrase. Where the phrase is, its words come together;
    with slop, they come so near.
    """
    places: dict[str, list[int]] = {}
    for place, term in enumerate(phrase.terms):
        places.setdefault(term, []).append(place)
    moved = sorted(
        (tokens.positions[number] - phrase.positions[place], place, number)
        for number, term in enumerate(tokens.terms)
        for place in places.get(term, ())
    )
    counts = [0] * len(phrase.terms)
    missing = len(counts)
    left = told = 0
    for right, (position, place, _) in enumerate(moved):
        missing -= counts[place] == 0
        counts[place] += 1
        while position - moved[left][0] > phrase.slop:
            other = moved[left][1]
            counts[other] -= 1
            missing += counts[other] == 0
            left += 1
        if not missing:
            # All tokens of the window belong to the phrase: each of them with one of every other word in it.
            yield from (number for _, _, number in moved[max(left, told) : right + 1])
            told = right + 1
