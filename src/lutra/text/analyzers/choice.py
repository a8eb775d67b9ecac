"""Which analyzer a field has."""

from __future__ import annotations

from typing import Final

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FuzzyParameters, SingleWordParameters, SplitParameters, TextOptions
from lutra.text.analyzers.analyzer import Analyzer
from lutra.text.analyzers.chinese import MaxWord, MinWord
from lutra.text.analyzers.fuzzy import Fuzzy
from lutra.text.analyzers.single_word import SingleWord
from lutra.text.analyzers.split import Split

ANALYZERS: Final = ("single_word", "split", "fuzzy", "min_word", "max_word")


def analyzer_of(options: TextOptions) -> Analyzer:
    """The analyzer that ``options`` name; where they name none, ``single_word``.

    Raises ParameterInvalid where there is none of that name, or its parameters are of another or make no sense.
    """
    name, parameters = options.analyzer or "single_word", options.parameters
    if name == "single_word" and isinstance(parameters, SingleWordParameters | None):
        return SingleWord(parameters or SingleWordParameters())
    if name == "split" and isinstance(parameters, SplitParameters | None):
        return Split(parameters or SplitParameters())
    if name == "fuzzy" and isinstance(parameters, FuzzyParameters | None):
        return Fuzzy(parameters or FuzzyParameters())
    if name == "min_word" and parameters is None:
        return MinWord()
    if name == "max_word" and parameters is None:
        return MaxWord()
    if name in ANALYZERS:
        raise ParameterInvalid(f"analyzer [{name}] does not go with {parameters!r}")
    raise ParameterInvalid(f"analyzer [{name}] does not exist, allow [{', '.join(ANALYZERS)}]")
