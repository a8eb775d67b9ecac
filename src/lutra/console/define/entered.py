"""What a form holds, with rows that were added and rows within rows, and what is wrong with it.

Names of inputs are paths: ``fields.2.fields.0.name``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lutra.model.errors import LutraError

_VALUE_CHARS_MAX: Final = 10_000
_ON: Final = "on"

Text = Callable[..., str]


class Entered:
    """The inputs at a path, and below it. All of one form share what is entered and what is wrong."""

    def __init__(
        self,
        values: Mapping[str, str],
        text: Text,
        path: str = "",
        problems: dict[str, str] | None = None,
    ) -> None:
        self._values = values
        self.text = text
        """Translates."""
        self._path = path
        self.problems: dict[str, str] = {} if problems is None else problems
        """What is wrong, by the whole name of the input; ``""`` of the form."""

    @classmethod
    def of_form(cls, items: Iterable[tuple[str, object]], text: Text) -> Entered:
        """What was posted; files are none of it."""
        return cls({name: value[:_VALUE_CHARS_MAX] for name, value in items if isinstance(value, str)}, text)

    @property
    def values(self) -> Mapping[str, str]:
        """All of the form, by whole names."""
        return self._values

    def at(self, name: str) -> str:
        """The whole name of an input."""
        return f"{self._path}.{name}" if self._path and name else self._path or name

    def id(self, name: str) -> str:
        """The id of its element."""
        return "input-" + self.at(name).replace(".", "-")

    def value(self, name: str) -> str:
        """What stands there, without white space around it."""
        return self._values.get(self.at(name), "").strip()

    def raw(self, name: str) -> str:
        """What stands there."""
        return self._values.get(self.at(name), "")

    def is_on(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self._values.get(self.at(name)) == _ON

    def problem(self, name: str) -> str | None:
        return self.problems.get(self.at(name))

    def note(self, name: str, problem: str) -> None:
        """Says what is wrong with an input; the first that is said stays."""
        self.problems.setdefault(self.at(name), problem)

    def below(self, name: str) -> Entered:
        return Entered(self._values, self.text, self.at(name), self.problems)

    def rows(self, name: str) -> list[Entered]:
        """The rows of a list, in their order."""
        return [self.below(f"{name}.{number}") for number in self.numbers(name)]

    def numbers(self, name: str) -> list[int]:
        """Those that rows of a list are called by, ascending."""
        prefix = self.at(name) + "."
        found = {key[len(prefix) :].partition(".")[0] for key in self._values if key.startswith(prefix)}
        return sorted(int(one) for one in found if one.isascii() and one.isdecimal() and len(one) < 6)

    # --- values of a kind: None, and a problem, where it is none ---------------------------------------------------

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int | None:
        """A whole number; ``default`` where nothing is entered, which without one is a problem, too."""
        given = self.value(name).replace(",", "").replace("_", "")
        if not given and default is not None:
            return default
        try:
            number = int(given)
        except ValueError:
            number = least - 1
        if least <= number <= most:
            return number
        self.note(name, self.text("A whole number from {least} to {most}.", least=f"{least:,}", most=f"{most:,}"))
        return None

    def names(self, name: str) -> tuple[str, ...]:
        """Names with commas between them."""
        return tuple(one for part in self.value(name).split(",") if (one := part.strip()))

    def lines(self, name: str) -> tuple[str, ...]:
        """What stands on the lines that are not empty."""
        return tuple(one for line in self.raw(name).splitlines() if (one := line.strip()))

    def check(self, name: str, check: Callable[[], object]) -> bool:
        """Whether a check passes; else what it says is wrong with an input."""
        try:
            check()
        except LutraError as error:
            self.note(name, str(error))
            return False
        return True


def with_row(values: Mapping[str, str], path: str, row: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """What a form holds once a row is added to a list, and that row's number."""
    numbers = Entered(values, str).numbers(path)
    number = numbers[-1] + 1 if numbers else 0
    return {**values, **{f"{path}.{number}.{name}": value for name, value in row.items()}}, number


def without_row(values: Mapping[str, str], path: str) -> dict[str, str]:
    """What a form holds without the row at a path, and all below it."""
    return {name: value for name, value in values.items() if not name.startswith(f"{path}.")}
