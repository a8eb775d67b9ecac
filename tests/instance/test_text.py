"""Texts in an embedded database: declared, found by words and phrases, with and without vectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import lutra
from lutra import Text, Vector, col

DOCS = {
    1: ("the quick brown fox jumps over the lazy dog", "animals"),
    2: ("a quick study of brown bears and quick foxes", "animals"),
    3: ("lazy evaluation in functional programming", "code"),
    4: ("混合检索 hybrid search 支持 中文 and English", "code"),
}


@pytest.fixture
def table(tmp_path: Path) -> Iterator[lutra.Table]:
    with lutra.connect(tmp_path / "data") as db:
        made = db.create_table(
            "docs", key={"id": int}, fields={"body": Text(), "kind": str, "v": Vector(2, "euclidean")}
        )
        made.put_many({"id": n, "body": body, "kind": kind, "v": [n, 0.0]} for n, (body, kind) in DOCS.items())
        yield made


def ids(rows: lutra.Results) -> list[int]:
    return [row.key[0] for row in rows]


def bm25(word: str, body: str) -> float:
    """By the formula, of English texts, whose words stand between spaces."""
    words = {n: text.split() for n, (text, _) in DOCS.items() if text.isascii()}
    lengths = [*map(len, words.values()), 12]  # the other has eight characters and four words
    frequency = sum(word in of for of in words.values())
    own = body.split()
    idf = math.log(1 + (len(DOCS) - frequency + 0.5) / (frequency + 0.5))
    norm = 0.25 + 0.75 * len(own) / (sum(lengths) / len(lengths))
    count = own.count(word)
    return idf * 2.2 * count / (count + 1.2 * norm)


def test_words_are_found_the_best_first(table: lutra.Table) -> None:
    found = table.search(text="quick")
    assert ids(found) == [2, 1], "which has it twice"
    for row in found:
        assert row.score == pytest.approx(bm25("quick", DOCS[row.key[0]][0]), abs=1e-5)
        assert row["body"] == DOCS[row.key[0]][0]
    assert sorted(ids(table.search(text="lazy quick"))) == [1, 2, 3]
    assert ids(table.search(text="lazy quick", match="all")) == [1]
    assert ids(table.search(text="quick brown", match="phrase")) == [1]
    assert ids(table.search(text="quick", where=col("kind") == "code")) == []
    assert ids(table.search(text="检索", match="phrase")) == [4]
    assert ids(table.search(text="HYBRID")) == [4], "words have no case"


def test_what_is_near_and_has_the_words_scores_both(table: lutra.Table) -> None:
    near = {row.key[0]: row.score for row in table.search([2.0, 0.0], limit=2)}
    words = {row.key[0]: row.score for row in table.search(text="quick")}
    both = {row.key[0]: row.score for row in table.search([2.0, 0.0], text="quick", limit=2)}
    assert both == pytest.approx({n: near.get(n, 0.0) + words.get(n, 0.0) for n in both})
    only = table.search([2.0, 0.0], text="quick", where=col("kind") == "code")
    assert ids(only) == [3, 4], "the filter holds for both"


def test_texts_change_and_go(table: lutra.Table) -> None:
    table.put({"id": 1, "body": "nothing of that"})
    table.delete(2)
    assert ids(table.search(text="quick")) == []
    assert ids(table.search(text="nothing")) == [1]


def test_declarations_come_back(tmp_path: Path) -> None:
    split = Text("split", delimiter="|", case_sensitive=True)
    with lutra.connect(tmp_path / "data") as db:
        db.create_table("t", key={"id": int}, fields={"a": split, "b": Text("max_word")})
    with lutra.connect(tmp_path / "data") as db:
        table = db.table("t")
        assert table.fields == {"a": split, "b": Text("max_word")}
        table.put({"id": 1, "a": "One|two three", "b": "x" * 10_000})
        assert ids(table.search(text="two three", text_field="a")) == [1]
        assert ids(table.search(text="one", text_field="a")) == []
        with pytest.raises(lutra.ParameterInvalid, match="several text fields: say text_field=, one of a, b"):
            table.search(text="x")
        assert [row.key for row in table.scan(where=col("a").starts_with("One"))] == [(1,)], "a condition sees a str"


def test_words_in_several_fields_score_what_the_best_does(tmp_path: Path) -> None:
    fields = {"title": Text(), "body": Text(), "notes": lutra.Nested({"text": Text()})}
    with lutra.connect(tmp_path / "data") as db:
        table = db.create_table("t", key={"id": int}, fields=fields)
        table.put({"id": 1, "title": "river", "body": "stone moss moss moss moss moss"})
        table.put({"id": 2, "title": "stone", "body": "river moss ice"})
        table.put({"id": 3, "title": "ice", "body": "ice", "notes": [{"text": "river river"}]})
        scores = {
            name: {row["id"]: row.score for row in table.search(text="river", text_field=name)}
            for name in ("title", "body", "notes.text")
        }
        best = {n: max(of.get(n, 0.0) for of in scores.values()) for n in (1, 2, 3)}
        found = table.search(text="river", text_field=["title", "body", "notes.text"], records=2)
        assert {row["id"]: row.score for row in found} == pytest.approx(best)
        assert [row["id"] for row in found] == sorted(best, key=lambda n: (-best[n], n))
        assert {row["id"]: [one.place for one in row.records.get("notes", [])] for row in found}[3] == [(0,)]
        assert ids(table.search(text="river moss", text_field=["title", "body"], match="all")) == [2]
        assert table.aggregate(text="river", text_field=("title", "body"))["count"] == 2
        assert ids(table.search(text="river", text_field=["title"])) == [1]
        with pytest.raises(lutra.ParameterInvalid, match="one of title, body, or some in a list"):
            table.search(text="river")
        with pytest.raises(lutra.ParameterInvalid, match="text_field= names a field at least"):
            table.search(text="river", text_field=[])
        with pytest.raises(lutra.ParameterInvalid, match=r"no text field 'titel'.*did you mean 'title'"):
            table.search(text="river", text_field=["body", "titel"])


def test_what_makes_no_sense_is_refused(table: lutra.Table) -> None:
    for call, told in {
        "no analyzer": (lambda: Text("klingon"), "unknown analyzer 'klingon': use one of single_word"),  # type: ignore[arg-type]
        "not its own": (lambda: Text(delimiter=","), "delimiter does not go with the analyzer single_word"),
        "too long": (lambda: Text("fuzzy", min_chars=3, max_chars=1), "chars"),
        "compared": (lambda: table.search(where=col("body") == "x"), "'body', which is text: search.text="),
        "sorted": (lambda: table.search(order_by=col("body")), "sorting does not apply to field 'body'"),
        "no text": (lambda: table.search(text=3), "text is a str, not int"),  # type: ignore[arg-type]
        "no way": (lambda: table.search(text="x", match="some"), "match is one of any, all, phrase"),  # type: ignore[arg-type]
        "no field": (lambda: table.search(text="x", text_field="kind"), "has no text field 'kind'"),
        "nothing": (lambda: table.search(match="all"), "go with a text"),
    }.values():
        with pytest.raises(lutra.ParameterInvalid, match=told):
            call()
