"""Fields of records as Python declares them: lists of dicts, or of instances of a dataclass, within a row."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lutra.instance.encoding import is_gap
from lutra.model.errors import ParameterInvalid

if TYPE_CHECKING:
    from lutra.instance.field import FieldDeclaration


@dataclass(frozen=True, slots=True)
class Nested:
    """Declares a field of records: a row has a list of them, each a dict of these fields, or an object of a dataclass.

    ``lutra.col("items").any(condition)`` holds of a row where one record satisfies all of ``condition``.
    ``list[Item]``, of a dataclass ``Item``, declares the same. Records come back as dicts.
    """

    fields: Mapping[str, FieldDeclaration]

    @classmethod
    def of(cls, kind: type[Any]) -> Nested:
        """What a dataclass declares. ``Annotated[numpy.ndarray, lutra.Vector(4)]`` declares a vector; ``str | None`` is
        ``str``: a record need not have every field. Raises ParameterInvalid."""
        try:
            hints = typing.get_type_hints(kind, include_extras=True)
        except NameError as error:
            raise ParameterInvalid(f"the fields of {kind.__name__} cannot be read: {error}") from None
        return cls({field.name: _declaration(hints[field.name]) for field in dataclasses.fields(kind)})


@dataclass(frozen=True, slots=True)
class Object:
    """Declares a field of one object a row, a dict of these fields or an object of a dataclass, which conditions and
    orders call by their paths: ``lutra.col("author.name") == "Ada"``. A dataclass declares the same. It comes back as a
    dict.
    """

    fields: Mapping[str, FieldDeclaration]

    @classmethod
    def of(cls, kind: type[Any]) -> Object:
        """As :meth:`Nested.of`."""
        return cls(Nested.of(kind).fields)


def _declaration(hint: Any) -> FieldDeclaration:
    if typing.get_origin(hint) is typing.Annotated:
        return typing.cast("FieldDeclaration", typing.get_args(hint)[1])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        given = [one for one in typing.get_args(hint) if one is not types.NoneType]
        if len(given) == 1:
            return _declaration(given[0])
    return typing.cast("FieldDeclaration", hint)


def record_of(value: object) -> Mapping[str, object]:
    """The fields of a record, those left out that say that there is no value. Raises TypeError for what is none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a record, a dict or an object of a dataclass, got {type(value).__name__}")
    return {name: one for name, one in value.items() if not is_gap(one)}
