"""Every text of a page has a Chinese one, and no Chinese text is of nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lutra.console
from lutra.console.languages import preferred, translate

ROOT = Path(lutra.console.__file__).parent
# _("…") in templates; text("…"), _("…") and message constants in Python; both kinds of quotes.
CALLED = re.compile(r"""(?:\b_|\btext|\bmessage|\bwrong)\(\s*(?:"((?:[^"\\]|\\.)+)"|'((?:[^'\\]|\\.)+)')""")
NAMES = re.compile(r"\{(\w+)\}")


def messages() -> set[str]:
    found: set[str] = set()
    for path in [*ROOT.rglob("*.html"), *ROOT.rglob("*.py")]:
        for double, single in CALLED.findall(path.read_text()):
            found.add((double or single).replace('\\"', '"').replace("\\'", "'"))
    return found


def catalog() -> dict[str, str]:
    found: dict[str, str] = json.loads((ROOT / "messages" / "zh.json").read_text())
    return found


def test_every_text_has_a_chinese_one() -> None:
    assert sorted(messages() - set(catalog())) == []


def test_both_have_the_same_names() -> None:
    for english, chinese in catalog().items():
        assert sorted(NAMES.findall(english)) == sorted(NAMES.findall(chinese)), english
        assert chinese, english


def test_the_catalog_is_sorted_so_that_changes_merge() -> None:
    assert [*catalog()] == sorted(catalog())


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        ("fr, en;q=0.5, zh;q=0.4", "en"),
        ("zh;q=x, en", "en"),
        ("*", "en"),
    ],
)
def test_the_browsers_language_is_taken(accepted: str | None, language: str) -> None:
    assert preferred(accepted) == language


def test_what_is_one_is_told_as_one() -> None:
    assert translate("en", "{number} rows are deleted.", number=1) == "1 row is deleted."
    assert translate("en", "{number} rows are deleted.", number=11) == "11 rows are deleted."
    assert translate("en", "{total} rows", total="1") == "1 row"
    singulars = json.loads((ROOT / "messages" / "en.json").read_text())
    assert set(singulars) <= messages() | {"{number} days ago"}, "each is of a message that there is"


def test_values_are_filled_in() -> None:
    assert translate("en", "There is no table {table}.", table="{x}") == "There is no table {x}."


def test_what_tablestore_has_a_word_for_is_called_that() -> None:
    """Its users look for a search index as 多元索引, and for a time to live as 数据生命周期."""
    others = ("搜索索引", "生存时间", "访问密钥", "数据流", "维数")
    assert [chinese for chinese in catalog().values() if any(word in chinese for word in others)] == []
