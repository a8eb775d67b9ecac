"""TEXT fields as the official SDK asks of them: every query for words, highlighting, in a buffer and in segments."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, put
from support.searching import ALL, BY_SCORE, columns_of, every_page, field, ids, packed, scores, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import (
    AnalyzerType,
    BoolQuery,
    ExistsQuery,
    FieldType,
    KnnVectorQuery,
    MatchPhraseQuery,
    MatchQuery,
    PrefixQuery,
    QueryOperator,
    TermQuery,
    TermsQuery,
    WildcardQuery,
)

TEXTS = [
    "The quick brown fox jumps over the lazy dog",
    "Quick foxes are brown, and dogs are quick",
    "A table store with vector search, made for disk",
    "表格存储支持全文检索和向量检索",
    "我来到北京清华大学, a university in Beijing",
    "iPhone6 手机, quick as a fox",
    "brown",
    "",
]
TAGS = [["quick fox", "dog"], ["fox"], [], ["表格", "存储"], ["北京 大学"], ["quick", "fox"], ["dog fox"], ["x"]]


def text_field(name: str, analyzer: str | None = None, parameter: Any = None, **options: Any) -> ots.FieldSchema:
    return field(name, FieldType.TEXT, analyzer=analyzer, analyzer_parameter=parameter, **options)


FIELDS = [
    text_field("single", enable_highlighting=True),
    text_field("cased", AnalyzerType.SINGLEWORD, ots.SingleWordAnalyzerParameter(True, True)),
    text_field("cut", AnalyzerType.SPLIT, ots.SplitAnalyzerParameter(", "), enable_highlighting=True),
    text_field("part", AnalyzerType.FUZZY, ots.FuzzyAnalyzerParameter(1, 4), enable_highlighting=True),
    text_field("least", AnalyzerType.MINWORD),
    text_field("most", AnalyzerType.MAXWORD, enable_highlighting=True),
    text_field("tags", AnalyzerType.SINGLEWORD, is_array=True, enable_highlighting=True),
    field("n", FieldType.LONG),
    vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN),
]


@dataclass(frozen=True)
class Indexed:
    server: ServerProcess
    table: str
    index: str

    def found(self, query: Any, **options: Any) -> list[int]:
        return sorted(ids(search(self.server.client(), self.table, self.index, query, **options)))


@pytest.fixture(scope="module", params=["buffer", "segments"])
def texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexed]:
    """Rows of a server of their own; to have segments it is stopped, which writes what was in the buffer."""
    with ServerProcess(tmp_path_factory.mktemp("texts") / "data") as server:
        client = server.client()
        make = TableMaker(client)
        table = make.table([("id", "INTEGER")])
        index = make.index(table, FIELDS)
        names = ["single", "cased", "cut", "part", "least", "most"]
        load(
            client,
            table,
            [
                (
                    [("id", n)],
                    dict.fromkeys(names, text)
                    | {"tags": json.dumps(TAGS[n], ensure_ascii=False), "n": n, "v": packed([n, 0.0])},
                )
                for n, text in enumerate(TEXTS)
            ],
        )
        make.wait_synced(table, index)
        if request.param == "segments":
            server.stop()
            server.start()
        yield Indexed(server, table, index)
    assert "Traceback" not in server.log_path.read_text()


CASES: dict[str, tuple[Any, list[int]]] = {
    "a word": (MatchQuery("single", "QUICK"), [0, 1, 5]),
    "one of two": (MatchQuery("single", "lazy Beijing"), [0, 4]),
    "both": (MatchQuery("single", "quick dog", operator=QueryOperator.AND), [0]),
    "two of three": (MatchQuery("single", "quick brown dog", minimum_should_match=2), [0, 1]),
    "most of three": (MatchQuery("single", "quick brown dog", minimum_should_match="70%"), [0, 1]),
    "Chinese characters": (MatchQuery("single", "京"), [4]),
    "a phrase": (MatchPhraseQuery("single", "quick brown"), [0]),
    "a phrase of Chinese": (MatchPhraseQuery("single", "向量检索"), [3]),
    "a phrase over a comma": (MatchPhraseQuery("single", "search made"), [2]),
    "no phrase": (MatchPhraseQuery("single", "brown quick"), []),
    "a sloppy phrase": (MatchPhraseQuery("single", "quick fox", slop=1), [0]),
    "a very sloppy phrase": (MatchPhraseQuery("single", "quick fox", slop=2), [0, 5]),
    "upper case": (MatchQuery("cased", "Quick"), [1]),
    "letters beside digits": (MatchQuery("cased", "6"), [5]),
    "between delimiters": (MatchQuery("cut", "made for disk"), [2]),
    "not all between delimiters": (MatchQuery("cut", "disk"), []),
    "any part": (MatchPhraseQuery("part", "ick br"), [0]),
    "any part in Chinese": (MatchPhraseQuery("part", "储支持全文"), [3]),
    "a part of a word": (MatchQuery("part", "hone"), [5]),
    "a word of the dictionary": (MatchQuery("least", "清华大学"), [4]),
    "half a word of the dictionary": (MatchQuery("least", "清华"), []),
    "any word of the dictionary": (MatchQuery("most", "清华"), [4]),
    "English beside it": (MatchQuery("most", "university"), [4]),
    "a phrase of the dictionary": (MatchPhraseQuery("most", "全文检索"), [3]),
    "in an array": (MatchQuery("tags", "fox"), [0, 1, 5, 6]),
    "a phrase in an element": (MatchPhraseQuery("tags", "quick fox"), [0]),
    "a term": (TermQuery("single", "quick"), [0, 1, 5]),
    "a term that is no word": (TermQuery("single", "Quick"), []),
    "terms": (TermsQuery("single", ["lazy", "检"]), [0, 3]),
    "a prefix": (PrefixQuery("single", "fox"), [0, 1, 5]),
    "a wildcard": (WildcardQuery("single", "b*n"), [0, 1, 6]),
    "one character": (WildcardQuery("single", "do?"), [0]),
    "any text": (ExistsQuery("single"), [0, 1, 2, 3, 4, 5, 6, 7]),
    "any element": (ExistsQuery("tags"), [0, 1, 3, 4, 5, 6, 7]),
    "no word": (MatchQuery("single", ", !"), []),
    "combined": (
        BoolQuery(must_queries=[MatchQuery("single", "quick")], must_not_queries=[MatchPhraseQuery("tags", "dog")]),
        [1, 5],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found(texts: Indexed, case: str) -> None:
    query, expected = CASES[case]
    assert texts.found(query) == expected


def bm25(words: list[str]) -> dict[int, float]:
    """Lucene's formula over the texts, cut at what is no letter."""
    cut = {n: "".join(c.lower() if c.isalnum() else " " for c in text) for n, text in enumerate(TEXTS)}
    spaced = {n: "".join(f" {c} " if c >= "\u3000" else c for c in text).split() for n, text in cut.items()}
    spaced = {n: own for n, own in spaced.items() if own}
    mean = sum(map(len, spaced.values())) / len(spaced)
    found: dict[int, float] = {}
    for word in words:
        frequency = sum(word in own for own in spaced.values())
        idf = math.log(1 + (len(spaced) - frequency + 0.5) / (frequency + 0.5))
        for n, own in spaced.items():
            count = Counter(own)[word]
            if count:
                share = count / (count + 1.2 * (0.25 + 0.75 * len(own) / mean))
                found[n] = found.get(n, 0.0) + idf * 2.2 * share
    return found


@pytest.mark.parametrize("words", [["quick"], ["quick", "fox"], ["brown", "检", "a"]])
def test_scores(texts: Indexed, words: list[str]) -> None:
    query = MatchQuery("single", " ".join(words), weight=2.0)
    response = search(texts.server.client(), texts.table, texts.index, query, sort=BY_SCORE)
    expected = bm25(words)
    assert ids(response) == sorted(expected, key=lambda n: -expected[n])
    assert scores(response) == pytest.approx([2 * expected[n] for n in ids(response)], rel=1e-5)
    pages = every_page(texts.server.client(), texts.table, texts.index, query, sort=BY_SCORE, limit=1)
    assert [n for page in pages for n in page] == ids(response)


def test_words_and_vectors_together(texts: Indexed) -> None:
    client = texts.server.client()
    near = KnnVectorQuery("v", 3, [1.0, 0.0])
    both = BoolQuery(should_queries=[near, MatchQuery("single", "brown")])
    response = search(client, texts.table, texts.index, both, sort=BY_SCORE)
    words = bm25(["brown"])
    nearest = {n: 1 / (1 + (n - 1) ** 2) for n in (0, 1, 2)}
    expected = {n: words.get(n, 0) + nearest.get(n, 0) for n in {*words, *nearest}}
    assert dict(zip(ids(response), scores(response), strict=True)) == pytest.approx(expected, rel=1e-5)
    within = KnnVectorQuery("v", 2, [7.0, 0.0], filter=MatchQuery("single", "fox dogs"))
    assert texts.found(within, limit=2) == [1, 5]


def highlight(texts: Indexed, query: Any, *names: str, **style: Any) -> dict[int, dict[str, list[str]]]:
    encoder = style.pop("encoder", ots.HighlightEncoder.PLAIN_MODE)
    parameters = [ots.HighlightParameter(name, **style) for name in names]
    wanted = ots.Highlight(parameters, encoder)
    response = search(texts.server.client(), texts.table, texts.index, query, highlight=wanted)
    return {
        n: {part.field_name: list(part.field_fragments) for part in hit.highlight_result.highlight_fields}
        for n, hit in zip(ids(response), response.search_hits, strict=True)
    }


def test_highlighting(texts: Indexed) -> None:
    assert highlight(texts, MatchQuery("single", "fox lazy"), "single", "tags") == {
        0: {"single": ["The quick brown <em>fox</em> jumps over the <em>lazy</em> dog"]},
        5: {"single": ["iPhone6 手机, quick as a <em>fox</em>"]},
    }
    assert highlight(texts, MatchPhraseQuery("part", "量检"), "part") == {
        3: {"part": ["表格存储支持全文检索和向<em>量检</em>索"]}
    }
    assert highlight(texts, MatchQuery("most", "清华"), "most", pre_tag="<b>", post_tag="</b>") == {
        4: {"most": ["我来到北京<b>清华</b>大学, a university in Beijing"]}
    }
    assert highlight(texts, MatchQuery("tags", "fox"), "tags", number_of_fragments=1)[0] == {
        "tags": ["quick <em>fox</em>"]
    }
    assert highlight(texts, PrefixQuery("single", "univ"), "single", fragment_size=12) == {
        4: {"single": ["<em>university</em>"]}
    }


def test_highlighted_rows_have_the_columns_asked_for(texts: Indexed) -> None:
    wanted = ots.Highlight([ots.HighlightParameter("single")])
    client = texts.server.client()
    response = search(client, texts.table, texts.index, MatchQuery("single", "lazy"), highlight=wanted)
    assert response.rows == [([("id", 0)], [])]
    response = search(client, texts.table, texts.index, MatchQuery("single", "lazy"), highlight=wanted, columns=ALL)
    assert columns_of(response.rows[0])["single"] == TEXTS[0]


def test_what_is_not_highlighted(texts: Indexed) -> None:
    client = texts.server.client()
    for name, says in (
        ("n", "allow [text]"),
        ("least", "highlighting is not supported for field[least]"),
        ("none", "does not exist"),
    ):
        with invalid(mentions=says):
            wanted = ots.Highlight([ots.HighlightParameter(name)])
            search(client, texts.table, texts.index, MatchQuery("single", "fox"), highlight=wanted)
    with invalid(mentions="number_of_fragments must be in [1, 500], not 501"):
        wanted = ots.Highlight([ots.HighlightParameter("single", number_of_fragments=501)])
        search(client, texts.table, texts.index, MatchQuery("single", "fox"), highlight=wanted)


def test_html(make: TableMaker, client: SdkClient, sync_client: ots.OTSClient) -> None:
    table = make.table()
    index = make.index(table, [text_field("t", enable_highlighting=True)])
    put(sync_client, table, [("id", "a")], t="<b>fox & dog</b>")
    make.wait_synced(table, index)
    wanted = ots.Highlight([ots.HighlightParameter("t")], ots.HighlightEncoder.HTML_MODE)
    response = search(client, table, index, MatchQuery("t", "fox"), highlight=wanted)
    [part] = response.search_hits[0].highlight_result.highlight_fields
    assert list(part.field_fragments) == ["&lt;b&gt;<em>fox</em> &amp; dog&lt;&#x2F;b&gt;"]


def test_the_schema_is_told_as_it_was_sent(texts: Indexed) -> None:
    meta, _ = texts.server.client().describe_search_index(texts.table, texts.index)
    for told, sent in zip(meta.fields, FIELDS, strict=True):
        assert (told.field_name, told.field_type) == (sent.field_name, sent.field_type)
        assert told.analyzer == (sent.analyzer or "")
        parameter = told.analyzer_parameter
        assert (None if parameter is None else vars(parameter)) == (
            None if sent.analyzer_parameter is None else vars(sent.analyzer_parameter)
        )


REFUSED: dict[str, ots.FieldSchema] = {
    "[no_such] does not exist": text_field("t", "no_such"),
    "max_chars": text_field("t", AnalyzerType.FUZZY, ots.FuzzyAnalyzerParameter(1, 9)),
    "[delimiter]": text_field("t", AnalyzerType.SPLIT, ots.SplitAnalyzerParameter("")),
    "must be BM25": text_field("t", text_similarity=ots.TextSimilarity.SHORT_TEXT),
}


@pytest.mark.parametrize("says", REFUSED)
def test_fields_that_make_no_sense(sync_client: ots.OTSClient, table: str, says: str) -> None:
    with invalid(mentions=says):
        sync_client.create_search_index(table, "refused", ots.SearchIndexMeta([REFUSED[says]]))
    assert sync_client.list_search_index(table) == []


def test_rows_change(make: TableMaker, client: SdkClient, sync_client: ots.OTSClient) -> None:
    table = make.table()
    index = make.index(table, [text_field("t", AnalyzerType.MAXWORD)])
    put(sync_client, table, [("id", "a")], t="quick 北京")
    put(sync_client, table, [("id", "b")], t="quick", other=5)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, MatchQuery("t", "quick"))) == ["a", "b"]
    put(sync_client, table, [("id", "a")], t="slow 清华大学")
    sync_client.delete_row(table, ots.Row([("id", "b")]), ots.Condition(ots.RowExistenceExpectation.IGNORE))
    make.wait_synced(table, index)
    assert ids(search(client, table, index, MatchQuery("t", "quick 北京"))) == []
    assert ids(search(client, table, index, MatchQuery("t", "大学"))) == ["a"]
