import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.embedding.words import stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parse_qs", ["parse_qs", "pars", "qs"]),
        ("JSONDecoder", ["jsondecoder", "json", "decoder"]),
        ("getElementsByTagName", ["getelementsbytagname", "get", "element", "tag", "nam"]),
        ("How do I read the files?", ["read", "fil"]),
        ("Größe in 日本", ["größ", "日本"]),
        ("a1b2 42", ["a1b2", "42"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ("file", "files"),
        ("parse", "parsed", "parsing", "parses"),
        ("query", "queries"),
        ("compress", "compressed"),
        ("class", "classes"),
    ],
)
def test_forms_of_a_word_meet(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@given(st.text())
def test_any_text_gives_words_without_spaces(text: str) -> None:
    assert all(word and not any(char.isspace() for char in word) for word in words(text))
