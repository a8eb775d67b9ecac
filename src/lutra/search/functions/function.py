"""The face of a function, and which module binds which kind of it: each says so itself, by `binds`."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.model.registry import Registry
from lutra.search.scores import Docs
from lutra.segments.part import Part

if TYPE_CHECKING:
    from lutra.search.binder import Binder

ANYTHING: Final = sys.float_info.max
"""Nothing is known of a bound, but that it is finite."""


class Said(NamedTuple):
    """What a function says of some documents, in their order."""

    values: npt.NDArray[np.float64]
    """Finite; whatever, where it says nothing."""
    where: npt.NDArray[np.bool_] | None
    """Of which it says something; None: of all."""


class Function(ABC):
    """A function that was checked against the schema. Two that are equal say the same."""

    __slots__ = ()

    @abstractmethod
    def in_part(self, part: Part) -> Callable[[Docs], Said]:
        """What it says of documents of a part; raises StorageFailure, Corruption, RequestTimeout, as that does."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, for `explain`: fit for JSON."""


Bind = Callable[[Any, "Binder"], Function]

_BINDS: Registry[type, Bind] = Registry(lambda kind: f"function {kind.__name__} is not supported")

binds = _BINDS.serves
"""Makes a function the one that checks functions of a class: it raises ParameterInvalid, or binds them."""


def bind_function(function: object, binder: Binder) -> Function:
    """Raises ParameterInvalid."""
    return _BINDS.of(type(function))(function, binder)
