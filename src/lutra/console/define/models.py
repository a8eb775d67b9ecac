"""Vector fields whose vectors a model makes of another column, as a form says it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from lutra.console.define.entered import Entered
from lutra.embedding.embedder import EmbeddingError
from lutra.embedding.models import ModelName, model_names
from lutra.instance.embedded import checked
from lutra.instance.field import Field
from lutra.instance.instance import Instance
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.schema import DeclaredField, Embedding, TableSchema

_ARGUMENT: Final = ":"


def usable_models() -> list[ModelName]:
    """Those that can be used here as they are: not those that lie at a path, which a form is not to open."""
    return [one for one in model_names() if one.missing is None and (_ARGUMENT not in one.name or one.is_service)]


def made_fields(
    entered: Entered, fields: Sequence[FieldSchema], others: Sequence[FieldSchema], table: TableSchema, *, opens: bool
) -> tuple[DeclaredField, ...]:
    """The fields of the form's rows whose vectors a model makes; what is wrong with them is said there.

    ``fields``: the rows', in their order; ``others``: those that the index has beside. ``opens``: whether models are
    opened, which takes a while, to see that they go with their fields.
    """
    known = {one.name: Field.of_column(one.name, one.type) for one in table.defined}
    known |= {one.name: Field.of_schema(one) for one in (*others, *fields) if not one.is_virtual}
    made = []
    for row, schema in zip(entered.rows("fields"), fields, strict=True):
        source, model = row.value("embed"), row.value("model")
        if schema.type is not FieldType.VECTOR or not (source or model):
            continue
        if source not in known or source == schema.name:
            row.note("embed", row.text("Name a field or a defined column of text or pictures."))
        elif not _is_usable(model):
            row.note("model", row.text("There is no such model here."))
        else:
            field = replace(known[schema.name], embedding=Embedding(source, model))
            if opens:
                _open(row, field, known)
            made.append(DeclaredField(schema.name, embedding=field.embedding))
    return tuple(made)


def declare(instance: Instance, table: str, made: Sequence[DeclaredField], dropped: Collection[str] = ()) -> None:
    """Keeps with a table by what vectors of fields are made, and forgets it of fields that are dropped."""
    there = instance.tables.describe(table).schema.declared
    gone = {*dropped, *(one.name for one in made)}
    told = (*(one for one in there if one.name not in gone), *made)
    if told != there:
        instance.tables.declare(table, told)


def _is_usable(model: str) -> bool:
    """Whether it is one of those, or a model of one of the services, whose name the service knows."""
    for one in usable_models():
        family, colon, _ = one.name.partition(_ARGUMENT)
        if model == one.name and not colon:
            return True
        if colon and model.startswith(family + colon) and model not in (family + colon, one.name):
            return True
    return False


def _open(row: Entered, field: Field, known: dict[str, Field]) -> None:
    try:
        checked(field, known)
    except (ParameterInvalid, EmbeddingError) as error:
        row.note("model", str(error))
