"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_SUGGESTIONS_MAX: Final = 3
_LIKENESS_MIN: Final = 0.6
_LIKENESS_RANGE: Final = 0.1
"""So much less like than the likest, another one is told as well."""
_NAMES_MAX: Final = 5_000
"""Among more, none is looked for: likeness takes time by the number of names."""


def suggestion(name: object, known: Iterable[str]) -> str:
    """``"; did you mean 'title'?"`` where a known name is like ``name``, else nothing: the end of an error's text.

    Case does not count, nor do ``_`` and ``-``. The likest comes first.
    """
    if not isinstance(name, str):
        return ""
    plain: dict[str, list[str]] = {}
    for number, one in enumerate(known):
        if number == _NAMES_MAX:
            return ""
        plain.setdefault(_plain(one), []).append(one)
    close = difflib.get_close_matches(_plain(name), plain, _SUGGESTIONS_MAX, _LIKENESS_MIN)
    likeness = [difflib.SequenceMatcher(None, match, _plain(name)).ratio() for match in close]
    close = [match for match, ratio in zip(close, likeness, strict=True) if ratio >= likeness[0] - _LIKENESS_RANGE]
    likely = [one for match in close for one in plain[match] if one != name][:_SUGGESTIONS_MAX]
    return f"; did you mean {' or '.join(map(repr, likely))}?" if likely else ""


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
