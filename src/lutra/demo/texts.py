"""What of an entry is embedded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from lutra.demo.documentation import Entry

_PROSE: Final = re.compile(r"[a-z]{3,}")
_PART_CHARS_MIN: Final = 3
_COMPOUND_CHARS_MIN: Final = 2 * _PART_CHARS_MIN
# A word in so many summaries is one to build names of; a name in so many is a word itself ("datetime").
_SUMMARIES_WITH_WORD_MIN: Final = 5
_SUMMARIES_WITH_NAME_MAX: Final = 20
# Entries that say nothing of themselves share something that no question has, and so stand behind those that do.
_UNDOCUMENTED: Final = " ".join(["undocumented"] * 8)


def search_texts(entries: Sequence[Entry]) -> list[str]:
    """The text that stands for each entry: its names, whole and in words, its summary, and what it is part of.

    The last name and the summary count twice, what surrounds them once: without the summaries of its class and
    module, ``gzip.open`` would not be found by "compress".
    """
    by_name = {entry.name: entry for entry in entries}
    prose = Counter(word for entry in entries for word in set(_PROSE.findall(entry.summary.lower())))
    return [_search_text(entry, by_name, prose) for entry in entries]


def compound_parts(name: str, prose: Mapping[str, int]) -> tuple[str, ...]:
    """The two words that ``name`` is run together from: ``copytree`` of "copy" and "tree"; empty where there are none.

    ``prose`` counts the summaries that use each word.
    """
    name = name.lower()
    if len(name) < _COMPOUND_CHARS_MIN or not name.isalpha() or prose.get(name, 0) >= _SUMMARIES_WITH_NAME_MAX:
        return ()
    cuts = range(_PART_CHARS_MIN, len(name) - _PART_CHARS_MIN + 1)
    commonness, cut = max((min(prose.get(name[:cut], 0), prose.get(name[cut:], 0)), cut) for cut in cuts)
    return (name[:cut], name[cut:]) if commonness >= _SUMMARIES_WITH_WORD_MIN else ()


def _search_text(entry: Entry, by_name: Mapping[str, Entry], prose: Mapping[str, int]) -> str:
    names = entry.name.split(".")
    words = [part for name in names for piece in name.split("_") for part in compound_parts(piece, prose)]
    around = [by_name.get(".".join(names[:depth])) for depth in range(1, len(names))]
    summaries = [other.summary for other in around if other is not None]
    own = [entry.summary, entry.summary] if entry.summary else [_UNDOCUMENTED]
    return "\n".join([*names, names[-1], *words, *own, *summaries])
