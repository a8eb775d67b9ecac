"""Text fields of a table as Python declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    AnalyzerParameters,
    FuzzyParameters,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
)
from lutra.model.suggestions import suggestion
from lutra.text.analyzers import analyzer_of

AnalyzerName = Literal["single_word", "split", "fuzzy", "min_word", "max_word"]

_DEFAULT: Final = "single_word"


@dataclass(frozen=True, slots=True)
class Text:
    """Declares a field of text, of which a search finds words and phrases, the best by BM25 first.

    ``analyzer`` says how texts and what is looked for become words: ``single_word`` (words of letters and digits, and
    each Chinese character), ``split`` (what stands between two ``delimiter``, white space where none is given),
    ``fuzzy`` (all runs of ``min_chars`` to ``max_chars`` characters), ``min_word`` and ``max_word`` (Chinese by a
    dictionary, as few words as there are, or all). The rest goes with some of them; None is the default.

    Raises ParameterInvalid.
    """

    analyzer: AnalyzerName = _DEFAULT
    case_sensitive: bool | None = None
    """With ``single_word``, ``split`` and ``fuzzy``."""
    delimit_word: bool | None = None
    """With ``single_word``: whether letters and digits that touch are words of their own."""
    delimiter: str | None = None
    min_chars: int | None = None
    max_chars: int | None = None

    def __post_init__(self) -> None:
        if self.analyzer not in get_args(AnalyzerName):
            known = ", ".join(get_args(AnalyzerName))
            likely = suggestion(self.analyzer, get_args(AnalyzerName))
            raise ParameterInvalid(f"unknown analyzer {self.analyzer!r}: use one of {known}{likely}")
        taken = _TAKEN.get(self.analyzer, ())
        for name in _ALL:
            if getattr(self, name) is not None and name not in taken:
                raise ParameterInvalid(f"{name} does not go with the analyzer {self.analyzer}")
        analyzer_of(self.options)

    @property
    def options(self) -> TextOptions:
        """As an index has it."""
        kind = _PARAMETERS.get(self.analyzer)
        given = {name: getattr(self, name) for name in _TAKEN.get(self.analyzer, ())}
        is_said = kind is not None and any(value is not None for value in given.values())
        return TextOptions(self.analyzer, kind(**given) if kind is not None and is_said else None)

    @classmethod
    def of(cls, options: TextOptions) -> Text:
        """What declares such a field."""
        parameters = options.parameters
        taken = _ALL if parameters is None else tuple(name for name in _ALL if hasattr(parameters, name))
        given = {} if parameters is None else {name: getattr(parameters, name) for name in taken}
        return cls(options.analyzer or _DEFAULT, **given)  # type: ignore[arg-type]


_PARAMETERS: Final[dict[str, type[AnalyzerParameters]]] = {
    "single_word": SingleWordParameters,
    "split": SplitParameters,
    "fuzzy": FuzzyParameters,
}
_TAKEN: Final = {
    "single_word": ("case_sensitive", "delimit_word"),
    "split": ("delimiter", "case_sensitive"),
    "fuzzy": ("min_chars", "max_chars", "case_sensitive"),
}
_ALL: Final = ("case_sensitive", "delimit_word", "delimiter", "min_chars", "max_chars")
