"""Fields that come and go while a table is in use; its index follows (design note 0021)."""

from __future__ import annotations

from dataclasses import replace

from lutra.instance.embedded import checked
from lutra.instance.field import Field, FieldDeclaration
from lutra.instance.instance import Instance
from lutra.instance.layout import INDEX_NAME, Layout
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import IndexSchema, IndexUpdate
from lutra.model.names import is_column_name
from lutra.model.schema import DefinedColumn


def with_field(instance: Instance, layout: Layout, name: str, declaration: FieldDeclaration) -> Layout:
    """Adds a field, and returns the layout that has it; an index that was there is filled anew from now on.

    Raises ParameterInvalid where there is such a column, or the declaration makes no sense; EmbeddingError where the
    model that it names cannot be opened.
    """
    there = layout.fields.get(name)
    if there is not None and there.vector is not None and there.embedding is None:
        return _with_model(instance, layout, there, declaration)
    if layout.field(name) is not None or layout.is_key(name):
        raise ParameterInvalid(f"table {layout.table!r} has a column {name!r} already: drop_field({name!r}) first")
    if not isinstance(name, str) or not is_column_name(name):
        raise ParameterInvalid(f"{name!r} cannot be the name of a field")
    field = checked(Field.declared(name, declaration), layout.fields)
    declared = instance.tables.describe(layout.table).schema.declared
    instance.tables.declare(layout.table, [*(one for one in declared if one.name != name), field.as_declared])
    if not field.indexed:
        instance.tables.add_defined_columns(layout.table, (DefinedColumn(name, field.column_type),))
        return _layout(instance, layout, layout.index)
    if layout.index is None:
        key_fields = {c.name: Field.of_key(c.name, c.type, None) for c in layout.key}
        fields = {**layout.fields, name: field}
        schema = replace(layout, fields=fields, index=INDEX_NAME, key_fields=key_fields).index_schema()
        assert schema is not None
        instance.create_search_index(layout.table, INDEX_NAME, schema)
        return _layout(instance, layout, INDEX_NAME)
    schema = _newest(instance, layout.table, layout.index)
    instance.update_search_index(layout.table, layout.index, IndexUpdate(added=(field.schema(),)))
    return _layout(instance, layout, layout.index, replace(schema, fields=(*schema.fields, field.schema())))


def _with_model(instance: Instance, layout: Layout, there: Field, declaration: FieldDeclaration) -> Layout:
    """Lets a field of vectors that is there know what makes them, from now on."""
    field = checked(Field.declared(there.name, declaration), layout.fields)
    if field.embedding is None or field.vector != there.vector:
        raise ParameterInvalid(
            f"table {layout.table!r} has a column {there.name!r} already: drop_field({there.name!r}) first, or declare "
            "the same vector with embed= and with_="
        )
    declared = instance.tables.describe(layout.table).schema.declared
    is_declared = any(one.name == field.name for one in declared)
    told = [replace(one, embedding=field.embedding) if one.name == field.name else one for one in declared]
    instance.tables.declare(layout.table, told if is_declared else [*told, field.as_declared])
    return _layout(instance, layout, layout.index)


def without_field(instance: Instance, layout: Layout, name: str) -> Layout:
    """Drops a field, and returns the layout that has it no more. Rows keep their values of the column.

    Raises ParameterInvalid where there is no such field.
    """
    field = layout.fields.get(name)
    if field is None:
        raise ParameterInvalid(f"a key column stays: {name!r}" if layout.is_key(name) else layout.unknown(name))
    for other in layout.embedded:
        if other.embedding is not None and other.embedding.source == name:
            raise ParameterInvalid(
                f"the vectors of {other.name!r} are made of {name!r}: drop_field({other.name!r}) first"
            )
    if field.embedding is not None:
        declared = instance.tables.describe(layout.table).schema.declared
        forgotten = [replace(one, embedding=None) if one.name == name else one for one in declared]
        instance.tables.declare(layout.table, forgotten)
    if layout.index is None or not _is_of_index(instance, layout, name):
        instance.tables.delete_defined_columns(layout.table, (name,))
        return _layout(instance, layout, layout.index)
    schema = _newest(instance, layout.table, layout.index)
    instance.update_search_index(layout.table, layout.index, IndexUpdate(dropped=(name,)))
    kept = tuple(one for one in schema.fields if one.name != name)
    return _layout(instance, layout, layout.index, replace(schema, fields=kept))


def _is_of_index(instance: Instance, layout: Layout, name: str) -> bool:
    assert layout.index is not None
    return any(one.name == name for one in _newest(instance, layout.table, layout.index).fields)


def _newest(instance: Instance, table: str, index: str) -> IndexSchema:
    return instance.describe_search_index(table, index).schema


def _layout(instance: Instance, layout: Layout, index: str | None, schema: IndexSchema | None = None) -> Layout:
    table = instance.tables.describe(layout.table).schema
    if index is not None and schema is None:
        schema = _newest(instance, layout.table, index)
    return Layout.of_table(table, index, schema)
