"""What the console's forms of tables and indexes send."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.model.indexes import FieldSchema, FuzzyParameters, IndexSchema, SingleWordParameters, SplitParameters


def table_form(name: str, **more: str) -> dict[str, str]:
    """A table of one key column ``id``; ``more`` has ``__`` for the dots in names."""
    first = {"name": name, "key.0.name": "id", "key.0.type": "STRING", "max_versions": "1", "allow_update": "on"}
    return {"do": "create", **first, **{key.replace("__", "."): value for key, value in more.items()}}


def index_form(name: str, schema: IndexSchema, prefix: str = "") -> dict[str, str]:
    """The form that means an index."""
    form = {f"{prefix}name": name, **_fields(schema.fields, f"{prefix}fields")}
    for number, sorter in enumerate(sorter for sorter in schema.sort if hasattr(sorter, "field")):
        form[f"{prefix}sort.{number}.field"] = sorter.field
        form |= {f"{prefix}sort.{number}.descending": "on"} if sorter.descending else {}
    if schema.ttl_s != -1:
        form[f"{prefix}ttl_days"] = str(schema.ttl_s / 86_400)
    form[f"{prefix}routing"] = ", ".join(schema.routing_fields)
    return form


def _fields(fields: Sequence[FieldSchema], prefix: str) -> dict[str, str]:
    form: dict[str, str] = {}
    for number, field in enumerate(fields):
        row = {"name": field.name, "type": field.type.name, "source": "".join(field.sources), **_options(field)}
        form |= {f"{prefix}.{number}.{name}": value for name, value in row.items()}
        form |= _fields(field.fields, f"{prefix}.{number}.fields")
    return form


def _options(field: FieldSchema) -> dict[str, str]:
    boxes = {"array": field.is_array, "unindexed": field.index is False, "unsorted": field.sort_and_aggregate is False}
    row: dict[str, str] = {}
    if field.vector is not None:
        row |= {"dimension": str(field.vector.dimension), "metric": field.vector.metric.name}
    if field.json_type is not None:
        row["json_type"] = field.json_type.name
    if field.date_formats:
        row["formats"] = "\r\n".join(field.date_formats)
    if field.text is not None:
        row["analyzer"] = field.text.analyzer or ""
        boxes["highlighting"] = bool(field.text.highlighting)
        match field.text.parameters:
            case SingleWordParameters(case_sensitive, delimit_word):
                boxes |= {"case_sensitive": bool(case_sensitive), "delimit_word": bool(delimit_word)}
            case SplitParameters(delimiter, case_sensitive):
                row["delimiter"] = delimiter or ""
                boxes["case_sensitive"] = bool(case_sensitive)
            case FuzzyParameters(min_chars, max_chars):
                row |= {"min_chars": str(min_chars), "max_chars": str(max_chars)}
    return row | {name: "on" for name, is_on in boxes.items() if is_on}
