"""Lower case, and what belongs to the character before it."""

from __future__ import annotations

import re
import sys
import unicodedata

from hypothesis import given
from support.text_samples import texts

from lutra.text.analyzers.characters import lowered, marks


def test_every_character_is_lowered_by_itself() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        low = lowered(char)
        assert len(low) == 1, hex(code)
        assert low == char.lower() or char == "İ"
        assert lowered(low) == low, hex(code)


@given(texts)
def test_what_is_beside_it_changes_nothing(text: str) -> None:
    assert lowered(text) == "".join(map(lowered, text))


def test_marks_are_those_of_unicode() -> None:
    pattern = re.compile(marks())
    for code in range(sys.maxunicode + 1):
        is_mark = unicodedata.category(chr(code))[0] == "M" or code in (0x200C, 0x200D)
        assert (pattern.fullmatch(chr(code)) is not None) == is_mark, hex(code)
