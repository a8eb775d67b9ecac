"""Queries for strings and for words, which BM25 scores."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from support.reference.minimum import needed_of
from support.reference.space import Scores, Space, answers
from support.text_model import TextModel

from lutra.model.indexes import TextOptions
from lutra.model.queries import Match, MatchPhrase, Operator, Prefix, Suffix, Wildcard
from lutra.text.analyzers import analyzer_of
from lutra.text.analyzers.analyzer import Tokens


@answers(Prefix)
def prefix(query: Prefix, space: Space) -> Scores:
    return like(space, query.field, lambda text: text.startswith(query.prefix), query.weight)


@answers(Suffix)
def suffix(query: Suffix, space: Space) -> Scores:
    return like(space, query.field, lambda text: text.endswith(query.suffix), query.weight)


@answers(Wildcard)
def wildcard(query: Wildcard, space: Space) -> Scores:
    parts = {"*": ".*", "?": "."}
    expression = re.compile("".join(parts.get(one, re.escape(one)) for one in query.pattern), re.DOTALL)
    return like(space, query.field, lambda text: expression.fullmatch(text) is not None, query.weight)


def like(space: Space, name: str, test: Callable[[str], bool], weight: float) -> Scores:
    """A keyword as a whole, or a word of a text, passes."""
    if space.is_text(name):
        return space.where(name, lambda words: any(map(test, words.terms)), weight)
    return space.where(name, test, weight)


@answers(Match)
def match(query: Match, space: Space) -> Scores:
    if not space.is_text(query.field):
        return space.where(query.field, lambda element: element == query.text, query.weight)
    wanted = asked(space, query.field, query.text).terms
    is_any = query.operator is Operator.OR
    needed = max(1, needed_of(query.minimum_should_match, len(wanted))) if is_any else len(wanted)
    return word_scores(space, query.field, wanted, needed, query.weight)


@answers(MatchPhrase)
def match_phrase(query: MatchPhrase, space: Space) -> Scores:
    if not space.is_text(query.field):
        return space.where(query.field, lambda element: element == query.text, query.weight)
    wanted, model = asked(space, query.field, query.text), model_of(space, query.field)
    idf = sum(model.idf(wanted.terms))
    found: Scores = {}
    for doc in model.phrase(wanted.terms, wanted.positions, query.slop):
        frequency = model.phrase_frequency(wanted.terms, wanted.positions, query.slop, doc)
        found[space.documents[doc]] = query.weight * model.weighed(idf, frequency, doc, model.average_length)
    return found


def word_scores(space: Space, name: str, wanted: list[str], needed: int, weight: float) -> Scores:
    """Documents that have ``needed`` of the words, and one at least."""
    model = model_of(space, name)
    idf = model.idf(wanted)
    docs = model.matches(wanted, max(1, needed)) if wanted else []
    return {space.documents[doc]: weight * model.score(wanted, idf, model.average_length, doc) for doc in docs}


def asked(space: Space, name: str, text: str) -> Tokens:
    return analyzer_of(space.field(name).text or TextOptions()).query_tokens(text)


def model_of(space: Space, name: str) -> TextModel:
    return TextModel([pairs_of(one.elements.get(name)) for one in space.documents])


def pairs_of(elements: list[Any] | None) -> list[tuple[str, int]] | None:
    return [*zip(elements[0].terms, elements[0].positions, strict=True)] if elements else None
