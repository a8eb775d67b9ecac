"""Words of buffers, segments and merged segments, asked the same as a model that looks at every document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.text_model import FIELD, Document, TextModel, buffer_of, part_of, random_documents
from support.text_sections import segment_of

from lutra.kernels.blocks import BlockCache
from lutra.kernels.row_mask import RowMask
from lutra.text.part import PatternKind, TextPart

VOCABULARY = 40
TERMS = [*(f"w{n}" for n in range(1, VOCABULARY + 1)), "nobody"]


@pytest.fixture(scope="module")
def cache() -> Iterator[BlockCache]:
    cache = BlockCache(1 << 20)
    yield cache
    cache.close()


def docs_of(mask: RowMask) -> list[int]:
    return mask.ids().tolist()  # type: ignore[no-any-return]


def merged(documents: Sequence[Document], cache: BlockCache, path: Path, random: np.random.Generator) -> TextPart:
    """The documents out of three parts, a buffer and two segments, in which they lie with others between them."""
    owner = random.integers(0, 3, len(documents))
    parts: list[TextPart] = []
    renumber = []
    for number in range(3):
        own = np.flatnonzero(owner == number)
        if number == 2:  # a buffer's are not in the order of their keys
            own = random.permutation(own)
        numbers: list[int] = []
        inside: list[Document] = []
        for doc in own.tolist():
            if random.random() < 0.3:
                inside.append([("gone", 0), ("w1", 1)])
                numbers.append(-1)
            inside.append(documents[doc])
            numbers.append(doc)
        part = part_of(inside)
        parts.append(part if number == 2 else segment_of([part], cache, path / f"part{number}"))
        renumber.append(np.array(numbers, np.int32))
    return segment_of(parts, cache, path / "merged", renumber, len(documents))


@pytest.fixture(scope="module", params=["buffer", "segment", "merged", "compacted"])
def large(
    request: pytest.FixtureRequest, cache: BlockCache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TextPart, TextModel]:
    """Enough documents that terms have many blocks."""
    random = np.random.default_rng(5)
    documents = random_documents(random, 1500, VOCABULARY)
    path = tmp_path_factory.mktemp("large")
    if request.param == "merged":
        part = merged(documents, cache, path, random)
    elif request.param == "compacted":
        more = [document for one in documents for document in (one, [("gone", 3), ("w2", 4)])]
        renumber = np.where(np.arange(len(more)) % 2 == 0, np.arange(len(more)) // 2, -1).astype(np.int32)
        part = TextPart(FIELD, buffer_of(more).compacted(renumber).part(len(documents)))
    else:
        part = part_of(documents)
        if request.param == "segment":
            part = segment_of([part], cache, path / "section")
    return part, TextModel(documents)


words = st.lists(st.sampled_from(TERMS), min_size=1, max_size=6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=words, needed=st.integers(1, 5))
def test_matches(large: tuple[TextPart, TextModel], terms: list[str], needed: int) -> None:
    part, model = large
    assert docs_of(part.matches(terms, needed)) == model.matches(terms, needed)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=words, needed=st.integers(1, 4), k=st.integers(1, 50), share=st.sampled_from([None, 0.01, 0.3]))
def test_the_best_are_those_of_all_scores(
    large: tuple[TextPart, TextModel], terms: list[str], needed: int, k: int, share: float | None
) -> None:
    part, model = large
    idf, average_length = np.array(model.idf(terms)), model.average_length
    mask, counting = None, np.ones(part.size, bool)
    if share is not None:
        counting = np.random.default_rng(k).random(part.size) < share
        mask = RowMask(counting)
    docs = np.array([doc for doc in model.matches(terms, needed) if counting[doc]], np.int64)
    scores = part.scores(terms, idf, average_length, docs)
    expected = [model.score(terms, idf.tolist(), average_length, doc) for doc in docs.tolist()]
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    order = np.lexsort((docs, -scores))[:k]
    found, found_scores = part.topk(terms, idf, average_length, needed, k, mask)
    assert found.tolist() == docs[order].tolist()
    assert found_scores.tolist() == scores[order].tolist(), "to the bit"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.tuples(st.sampled_from(TERMS[:8]), st.integers(0, 3)), min_size=1, max_size=3),
    slop=st.integers(0, 4),
)
def test_phrases(large: tuple[TextPart, TextModel], words: list[tuple[str, int]], slop: int) -> None:
    part, model = large
    short = [doc for doc, length in enumerate(model.lengths) if length < 20]  # the model tries every choice
    small = model.kept(short)
    terms, positions = [term for term, _ in words], [position for _, position in words]
    mask = part.phrase(terms, positions, slop)
    expected = small.phrase(terms, positions, slop)
    assert [doc for doc, there in zip(range(len(short)), mask.has(np.array(short)), strict=True) if there] == expected
    docs = np.array([short[doc] for doc in expected], np.int64)
    scores = part.phrase_scores(terms, positions, slop, 1.5, 6.0, docs)
    frequencies = [small.phrase_frequency(terms, positions, slop, doc) for doc in expected]
    assert scores.tolist() == pytest.approx(
        [small.weighed(1.5, f, doc, 6.0) for f, doc in zip(frequencies, expected, strict=True)]
    )


def test_statistics_are_those_of_what_lives(large: tuple[TextPart, TextModel]) -> None:
    part, model = large
    for dead_share in (0, 0.001, 0.2, 1):
        dead = np.random.default_rng(3).random(part.size) < dead_share
        living = model.kept(np.flatnonzero(~dead).tolist())
        found = part.statistics(TERMS, RowMask(dead))
        assert (found.frequencies.tolist(), found.documents, found.tokens) == living.statistics(TERMS)
    found = part.statistics(TERMS)
    assert (found.frequencies.tolist(), found.documents, found.tokens) == model.statistics(TERMS)


def test_which_documents_have_a_text(large: tuple[TextPart, TextModel]) -> None:
    part, model = large
    assert docs_of(part.exists().mask()) == model.exists()


@pytest.mark.parametrize(
    ("kind", "pattern", "fits"),
    [
        (PatternKind.PREFIX, "w1", lambda term: term.startswith("w1")),
        (PatternKind.PREFIX, "", lambda _: True),
        (PatternKind.PREFIX, "zz", lambda _: False),
        (PatternKind.SUFFIX, "7", lambda term: term.endswith("7")),
        (PatternKind.WILDCARD, "w?3", lambda term: len(term) == 3 and term.endswith("3")),
        (PatternKind.WILDCARD, "*2*", lambda term: "2" in term),
    ],
)
def test_patterns(large: tuple[TextPart, TextModel], kind: PatternKind, pattern: str, fits: object) -> None:
    part, model = large
    assert callable(fits)
    terms = sorted({term for counts in model.counts for term in counts if fits(term)})
    assert part.terms_like(kind, pattern, 1000) == terms
    assert part.terms_like(kind, pattern, 2) == terms[:2]
    assert docs_of(part.like(kind, pattern)) == model.matches(terms, 1)


def test_digests_are_the_same_wherever_the_words_lie(cache: BlockCache, tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    documents = random_documents(random, 500, VOCABULARY)
    buffer = part_of(documents)
    digests = buffer.digests(77)
    assert merged(documents, cache, tmp_path, random).digests(77).tolist() == digests.tolist()
    assert len(set(digests.tolist())) > 400
    changed = [[*tokens[:-1], (tokens[-1][0], tokens[-1][1] + 1)] if tokens else tokens for tokens in documents]
    same = part_of(changed).digests(77) == digests
    assert [bool(tokens) for tokens in documents] == (~same).tolist()
    assert not np.any(buffer.digests(78)[[bool(tokens) for tokens in documents]] == digests[~same])


def test_a_merge_gives_the_same_bytes_as_one_buffer(cache: BlockCache, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    documents = random_documents(random, 700, VOCABULARY)
    merged(documents, cache, tmp_path, random)
    segment_of([part_of(documents)], cache, tmp_path / "whole")
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_view_does_not_change_as_its_buffer_grows() -> None:
    documents = random_documents(np.random.default_rng(2), 400, VOCABULARY)
    buffer = buffer_of(documents[:150])
    view, model = TextPart(FIELD, buffer.part(150)), TextModel(documents[:150])
    for doc, tokens in enumerate(documents[150:], 150):
        if tokens is not None:
            buffer.stage(doc, [term for term, _ in tokens], [position for _, position in tokens])
    buffer.publish()
    for term in TERMS:
        assert docs_of(view.matches([term])) == model.matches([term], 1)
    found = view.statistics(TERMS)
    assert (found.frequencies.tolist(), found.documents, found.tokens) == model.statistics(TERMS)
    assert view.terms_like(PatternKind.PREFIX, "", 99) == sorted({term for one in model.counts for term in one})
