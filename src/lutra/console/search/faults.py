"""What is wrong with a search that a form says, and where in the form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from lutra.model.errors import ParameterInvalid

_FAULTS_MAX: Final = 50
"""That are told at once."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``place`` leads to the control: ``where.parts.0.value``, and nothing where the whole is meant.

    ``message`` is a text to be translated, with ``values`` for what stands in braces in it.
    """

    place: str
    message: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In English."""
        return self.message.format(**self.values) if self.values else self.message


class SpecInvalid(ParameterInvalid):
    """A search that makes no sense: all that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{one.place}: {one.text}" if one.place else one.text for one in faults))
        self.faults = faults


class Wrong(Exception):  # no error that leaves this room
    """One fault, on its way to who gathers them."""

    def __init__(self, place: str, message: str, **values: Any) -> None:
        super().__init__(message)
        self.fault = Fault(place, message, values)


class Faults:
    """Gathers what is wrong, so that a form shows all of it at once."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, fault: Fault) -> None:
        if len(self._found) < _FAULTS_MAX and fault not in self._found:
            self._found.append(fault)

    def gathered(self) -> _Gathered:
        """What is raised inside as `Wrong` is kept, and ends what is inside."""
        return _Gathered(self)

    def check(self) -> None:
        """Raises SpecInvalid where there is any."""
        if self._found:
            raise SpecInvalid(tuple(self._found))


class _Gathered:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Wrong):
            self._faults.add(error.fault)
        return isinstance(error, Wrong)
