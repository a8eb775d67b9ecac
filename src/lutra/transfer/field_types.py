"""Fields as options and files write them: ``keyword``, ``text:max_word``, ``vector:384:cosine``, ``list[int]``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing
from collections.abc import Mapping
from typing import Any, Final, get_args

from lutra.instance.field import FieldDeclaration, Stored
from lutra.instance.layout import KeyDeclaration
from lutra.instance.nested import Nested, Object
from lutra.instance.text import AnalyzerName, Text
from lutra.instance.vector import MetricName, Vector
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.suggestions import suggestion
from lutra.model.values import AUTO_INCREMENT

_SCALARS: Final[dict[str, type[Any]]] = {
    "keyword": str,
    "int": int,
    "float": float,
    "bool": bool,
    "datetime": dt.datetime,
    "geo": GeoPoint,
}
_NAMES: Final = {type_: name for name, type_ in _SCALARS.items()}
_ALIASES: Final = {
    "str": "keyword",
    "string": "keyword",
    "integer": "int",
    "long": "int",
    "double": "float",
    "number": "float",
    "boolean": "bool",
    "date": "datetime",
    "timestamp": "datetime",
    "point": "geo",
}
_ELEMENTS: Final[dict[str, type[Any]]] = {
    "keyword": list[str],
    "int": list[int],
    "float": list[float],
    "bool": list[bool],
    "datetime": list[dt.datetime],
    "geo": list[GeoPoint],
}
_STORED: Final = {"str": str, "bytes": bytes, "int": int, "float": float, "bool": bool}
TYPES: Final = (*_SCALARS, "text", "bytes", "stored", "vector", *(f"list[{name}]" for name in _ELEMENTS))
"""That an option can name."""


def declared_type(text: str, dimension: int | None = None) -> FieldDeclaration:
    """The declaration that ``text`` means; a vector that says none has ``dimension``. Raises ParameterInvalid."""
    name, *parameters = text.strip().split(":")
    name = _ALIASES.get(name.lower(), name.lower())
    if name == "text":
        return _text(parameters)
    if name == "vector":
        return _vector(parameters, dimension)
    if parameters and name != "stored":
        raise ParameterInvalid(f"type {text!r}: {name} takes no {parameters[0]!r}")
    if name == "bytes":
        return bytes
    if name == "stored":
        return _stored(parameters)
    if name.startswith("list[") and name.endswith("]"):
        element = _ALIASES.get(name[5:-1], name[5:-1])
        if element in _ELEMENTS:
            return _ELEMENTS[element]
    if name in _SCALARS:
        return _SCALARS[name]
    raise ParameterInvalid(f"unknown type {text!r}: use one of {', '.join(TYPES)}{suggestion(name, TYPES)}")


def type_text(declaration: FieldDeclaration | KeyDeclaration) -> str:
    """As an option would name it; records and objects with what is in them."""
    if isinstance(declaration, Vector):
        return f"vector:{declaration.dimension}:{declaration.metric}"
    if isinstance(declaration, Text):
        return "text" if declaration == Text() else f"text:{declaration.analyzer}"
    if isinstance(declaration, Nested | Object):
        inner = ", ".join(f"{name}: {type_text(of)}" for name, of in declaration.fields.items())
        return f"{'records' if isinstance(declaration, Nested) else 'object'} {{{inner}}}"
    if isinstance(declaration, Stored):
        name = getattr(declaration.type, "__name__", str(declaration.type))
        return "stored" if declaration.type is str else f"stored:{name}"
    if declaration is AUTO_INCREMENT:
        return "auto_increment"
    if typing.get_origin(declaration) is list:
        return f"list[{type_text(get_args(declaration)[0])}]"
    if declaration is bytes:
        return "bytes"
    return _NAMES.get(typing.cast("type[Any]", declaration), str(declaration))


def declaration_as_json(declaration: FieldDeclaration) -> object:
    """As a file keeps it: `declaration_of_json` reads it."""
    if isinstance(declaration, Text):
        said = {name: value for name, value in dataclasses.asdict(declaration).items() if value is not None}
        return {"text": said}
    if isinstance(declaration, Vector) and declaration.embed is not None:
        return {"vector": dataclasses.asdict(declaration)}
    if isinstance(declaration, Nested | Object):
        kind = "records" if isinstance(declaration, Nested) else "object"
        return {kind: {name: declaration_as_json(of) for name, of in declaration.fields.items()}}
    return type_text(declaration)


def declaration_of_json(content: object) -> FieldDeclaration:
    """Raises ParameterInvalid for what `declaration_as_json` does not write."""
    match content:
        case str():
            return declared_type(content)
        case {"text": Mapping() as said}:
            try:
                return Text(**{str(name): value for name, value in said.items()})
            except TypeError as error:
                raise ParameterInvalid(f"a field of text cannot be declared by {said}: {error}") from None
        case {"vector": Mapping() as said}:
            try:
                return Vector(**{str(name): value for name, value in said.items()})
            except TypeError as error:
                raise ParameterInvalid(f"a field of vectors cannot be declared by {said}: {error}") from None
        case {"records": Mapping() as fields}:
            return Nested({str(name): declaration_of_json(of) for name, of in fields.items()})
        case {"object": Mapping() as fields}:
            return Object({str(name): declaration_of_json(of) for name, of in fields.items()})
    raise ParameterInvalid(f"no field is declared by {content!r}")


def _text(parameters: list[str]) -> Text:
    if len(parameters) > 1:
        raise ParameterInvalid("a text is written text or text:ANALYZER")
    return Text(typing.cast("AnalyzerName", parameters[0])) if parameters else Text()


def _stored(parameters: list[str]) -> FieldDeclaration:
    name = parameters[0] if parameters else "str"
    if len(parameters) > 1 or name not in _STORED:
        raise ParameterInvalid(f"a stored column is written stored or stored:TYPE, TYPE one of {', '.join(_STORED)}")
    return Stored(_STORED[name])


def _vector(parameters: list[str], dimension: int | None) -> Vector:
    metric = "cosine"
    for parameter in parameters:
        if parameter.isdecimal():
            dimension = int(parameter)
        else:
            metrics = get_args(MetricName)
            if parameter not in metrics:
                known = f"{', '.join(metrics)}{suggestion(parameter, metrics)}"
                raise ParameterInvalid(f"unknown metric {parameter!r}: use one of {known}")
            metric = parameter
    if dimension is None:
        raise ParameterInvalid("a vector's dimension is not known: write vector:DIMENSION:METRIC")
    return Vector(dimension, typing.cast("MetricName", metric))
