"""Which characters make words, and how they are lowered."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

HAN: Final = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, those of Japanese and Korean texts too; as the inside of a regular expression's set."""
_KANA: Final = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_WITHOUT_SPACES: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
SINGLES: Final = HAN + _KANA + _WITHOUT_SPACES
"""Characters of scripts that are written without spaces: each is a word."""
_JOINERS: Final = (0x200C, 0x200D)
_MARK_BLOCKS: Final = (range(0x300, 0x1F000), range(0xE0100, 0xE01F0))


def lowered(text: str) -> str:
    """``text`` in lower case, character by character: of the same length, and each whatever is beside it.

    Two capitals are not lowered so by Python: İ becomes two characters, and Σ one or another by what follows it.
    """
    if text.isascii():
        return text.lower()
    return text.replace("İ", "i").replace("Σ", "σ").lower()


@cache
def marks() -> str:
    """A pattern for one character that belongs to the one before it: an accent, a vowel sign, a joiner.

    Python's regular expressions count marks as no part of a word, and have no name for them.
    """
    low: list[int] = []
    high: list[int] = []
    for block in _MARK_BLOCKS:
        for code in block:
            if code in _JOINERS or unicodedata.category(chr(code))[0] == "M":
                (low if code < 0x10000 else high).append(code)
    # The set of the high ones is searched through one range after the other: only where there may be one of them.
    return f"(?:[{_ranges(low)}]|(?=[\U00010000-\U0010ffff])[{_ranges(high)}])"


def _ranges(codes: Iterable[int]) -> str:
    """Ascending code points as the inside of a set."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)
