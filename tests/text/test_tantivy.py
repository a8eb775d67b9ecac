"""The same texts in tantivy: which match, which phrases, and in what order BM25 puts them."""

from __future__ import annotations

import numpy as np
import pytest
from support.text_model import FIELD

from lutra.text.column import TextColumn
from lutra.text.part import TextPart

tantivy = pytest.importorskip("tantivy")

WORDS = ["river", "stone", "light", "green", "water", "night", "tree", "wind", "梨花", "snow", "bird"]
# Of so many words tantivy keeps the number exactly.
LENGTH_MAX = 39


@pytest.fixture(scope="module")
def texts() -> list[str]:
    random = np.random.default_rng(4)
    lengths = random.integers(1, LENGTH_MAX + 1, 800)
    return [" ".join(WORDS[min(w, len(WORDS)) - 1] for w in random.zipf(1.4, length)) for length in lengths]


@pytest.fixture(scope="module")
def part(texts: list[str]) -> TextPart:
    from lutra.model.indexes import FieldSchema, FieldType, SplitParameters, TextOptions

    field = FieldSchema(FIELD.name, FieldType.TEXT, text=TextOptions("split", SplitParameters(" ")))
    column = TextColumn(field)
    for doc, text in enumerate(texts):
        assert column.stage(doc, text)
    column.publish()
    return column.view(len(texts))


class Oracle:
    def __init__(self, texts: list[str]) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("t", stored=False, tokenizer_name="whitespace", index_option="position")
        builder.add_integer_field("row", stored=True)
        self.schema = builder.build()
        index = tantivy.Index(self.schema)
        writer = index.writer(heap_size=50_000_000, num_threads=1)
        for row, text in enumerate(texts):
            writer.add_document(tantivy.Document(t=[text], row=row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self.searcher = index.searcher()
        self.size = len(texts)

    def found(self, query: object) -> dict[int, float]:
        hits = self.searcher.search(query, self.size).hits
        return {self.searcher.doc(address)["row"][0]: score for score, address in hits}

    def words(self, words: list[str], occur: object) -> dict[int, float]:
        terms = [(occur, tantivy.Query.term_query(self.schema, "t", word)) for word in words]
        return self.found(tantivy.Query.boolean_query(terms))

    def phrase(self, words: list[str]) -> dict[int, float]:
        return self.found(tantivy.Query.phrase_query(self.schema, "t", list(words)))


@pytest.fixture(scope="module")
def oracle(texts: list[str]) -> Oracle:
    return Oracle(texts)


@pytest.mark.parametrize("words", [["bird"], ["river", "snow"], ["tree", "梨花", "night", "nobody"]])
@pytest.mark.parametrize("needs_all", [False, True])
def test_words_and_their_scores(oracle: Oracle, part: TextPart, words: list[str], needs_all: bool) -> None:
    theirs = oracle.words(words, tantivy.Occur.Must if needs_all else tantivy.Occur.Should)
    statistics = part.statistics(words)
    needed = len(words) if needs_all else 1
    docs, scores = part.topk(words, statistics.idf, statistics.average_length, needed, part.size)
    assert sorted(docs.tolist()) == sorted(theirs)
    assert scores.tolist() == pytest.approx([theirs[doc] for doc in docs.tolist()], rel=1e-5)
    assert sorted(part.matches(words, needed).ids().tolist()) == sorted(theirs)


@pytest.mark.parametrize("words", [["river", "stone"], ["stone", "river", "light"], ["wind", "wind"], ["bird", "snow"]])
def test_phrases_and_their_scores(oracle: Oracle, part: TextPart, words: list[str]) -> None:
    theirs = oracle.phrase(words)
    statistics = part.statistics(words)
    docs = part.phrase(words, range(len(words))).ids()
    assert sorted(docs.tolist()) == sorted(theirs)
    idf = float(statistics.idf.sum())
    scores = part.phrase_scores(words, range(len(words)), 0, idf, statistics.average_length, docs)
    assert scores.tolist() == pytest.approx([theirs[doc] for doc in docs.tolist()], rel=1e-5)
