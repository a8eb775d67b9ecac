"""Text to words, for counting: of English prose and of names in code alike."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[^\W\d]\w*|\d+")
_RUN: Final = re.compile(r"[^\W\d_]+|\d+")
_PART: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_WORD_CHARS_MIN: Final = 2

# Words of questions and of grammar. Not here, though English stop lists have them: words that mean something in code,
# such as "first", "empty", "move", "between" or "call".
_STOP_WORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        a about also am an and any are as at be because been being but by can could did do does doing done
        each either else ever for from had has have having hence here how however i if in into is it its
        itself just like may me might must my no nor not of often on or other otherwise our own per please
        rather same shall she should since so some such than that the their them then there thereby
        therefore these they this those through thus to too until up upon us use used uses using very via
        want was we were what whatever when where whether which while who whom whose why will with within
        without would yet you your
        """,
    )
)
_ENDINGS: Final = (("ies", "y"), ("ings", ""), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))


def words(text: str) -> list[str]:
    """The words of ``text`` in order: lower case, endings cut, grammar left out, compound names whole and in parts.

    ``"parse_qs"`` gives ``parse_qs``, ``parse`` and ``qs``; ``"JSONDecoder"`` gives ``jsondecoder``, ``json`` and
    ``decoder``.
    """
    found = []
    for name in _NAME.findall(text):
        parts = [part for run in _RUN.findall(name) for part in (_PART.findall(run) if run.isascii() else [run])]
        if len(parts) > 1:
            found.append(name.lower().strip("_"))
        for part in parts:
            word = part.lower()
            if len(word) >= _WORD_CHARS_MIN and word not in _STOP_WORDS:
                found.append(stem(word))
    return found


def stem(word: str) -> str:
    """``word`` without the endings of number and tense, so that "files" is "file" and "parsing" is "parsed".

    Coarse on purpose: what counts is that two forms of a word meet, not that the result is one.
    """
    if len(word) < 4 or word.endswith("ss"):
        return word
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + replacement
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word
