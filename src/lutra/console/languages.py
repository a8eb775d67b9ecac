"""The languages of pages. English texts are the keys; other languages have a catalog each, in ``messages``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = {"en": "English", "zh": "中文"}
DEFAULT: Final = "en"
_NAME: Final = re.compile(r"\{(\w+)\}")


def translate(language: str, message: str, **values: object) -> str:
    """``message`` in a language, with ``{names}`` filled in; in English where the catalog lacks it.

    The catalog of English has messages as they are of one: where the first name that is filled in is 1.
    """
    if language != DEFAULT or _is_of_one(message, values):
        message = _catalog(language).get(message, message)
    return message.format_map(values) if values else message


def _is_of_one(message: str, values: Mapping[str, object]) -> bool:
    first = _NAME.search(message)
    return first is not None and values.get(first[1]) in (1, "1")


def preferred(accepted: str | None) -> str:
    """The language for an Accept-Language header (RFC 9110, 12.5.4): the first of ours, by weight."""
    weighted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepted or "").split(",")[:20]):
        tag, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            continue
        weighted.append((-weight, place, tag.partition("-")[0].lower()))
    return next((tag for _, _, tag in sorted(weighted) if tag in LANGUAGES), DEFAULT)


@cache
def _catalog(language: str) -> dict[str, str]:
    text = files("lutra.console").joinpath("messages", f"{language}.json").read_text(encoding="utf-8")
    catalog: dict[str, str] = json.loads(text)
    return catalog
