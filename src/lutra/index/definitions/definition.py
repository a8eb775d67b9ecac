"""A search index's definition as the store holds it: JSON with a format version."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lutra.index.definitions.sorters import sorter_in, sorter_out
from lutra.model.errors import Corruption
from lutra.model.indexes import (
    AnalyzerParameters,
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexSchema,
    JsonType,
    Metric,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
    TextSimilarity,
    VectorOptions,
)

_FORMAT: Final = 1
_CHANGED_FORMAT: Final = 2
"""Of an index that has been changed since it was made, or is being so: who does not know of that would misread it."""
_PARAMETERS: Final[dict[str, type[AnalyzerParameters]]] = {
    "single_word": SingleWordParameters,
    "split": SplitParameters,
    "fuzzy": FuzzyParameters,
}


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A search index: which table it belongs to, and what it is made of. ``created_us`` is µs since the epoch.

    An index is never changed in place: under another schema it is another *generation*, with objects of its own, which
    is filled from the table beside the one that answers searches, and takes its place when it has all rows.
    """

    instance: str
    table: str
    table_id: int
    name: str
    schema: IndexSchema
    created_us: int
    first_us: int = 0
    """When the first of its generations was made, where that was another."""
    made_as: str = ""
    """The name it was made by, where that is another: its objects are under that."""
    source: str | None = None
    """The index that this one may take the place of (re-indexing)."""
    weight: int = 0
    """Of a hundred searches of ``source`` by its name, so many are answered by this one."""
    next: IndexDefinition | None = None
    """The generation that is being filled to take this one's place."""
    uid: int = 0
    """Of an index that a map of partitions names (`lutra.cluster.map`): which of the map's it is, by whatever name."""

    @property
    def made_us(self) -> int:
        """When the first of its generations was made: another time than any other index of the table."""
        return self.first_us or self.created_us

    @property
    def generations(self) -> tuple[IndexDefinition, ...]:
        """This one, and the one to come where there is one: each has objects of its own."""
        return (self,) if self.next is None else (self, self.next)

    def field_changes(self, following: IndexDefinition) -> tuple[list[str], list[str]]:
        """Names of the fields that another generation has and this one has not, or not so; and the other way round."""
        before, after = self.schema.fields, following.schema.fields
        return (
            sorted(field.name for field in after if field not in before),
            sorted(field.name for field in before if field not in after),
        )

    def named(self, name: str) -> IndexDefinition:
        """The same index by another name, with its objects where they are."""
        made_as = self.made_as or self.name
        following = None if self.next is None else self.next.named(name)
        return replace(self, name=name, made_as="" if made_as == name else made_as, next=following)


def to_json(definition: IndexDefinition) -> bytes:
    """The stored form."""
    return json.dumps(_out(definition)).encode()


def _out(definition: IndexDefinition) -> dict[str, Any]:
    following = None if definition.next is None else _out(definition.next)
    changes = {
        "first_us": definition.first_us,
        "made_as": definition.made_as,
        "source": definition.source,
        "weight": definition.weight,
        "next": following,
    }
    uid = {"uid": definition.uid} if definition.uid else {}
    is_changed = any(changes.values())
    return {
        "format": _CHANGED_FORMAT if is_changed else _FORMAT,
        "instance": definition.instance,
        "table": definition.table,
        "table_id": definition.table_id,
        "name": definition.name,
        "created_us": definition.created_us,
        **(changes if is_changed else {}),
        **uid,
        **schema_out(definition.schema),
    }


def from_json(data: bytes) -> IndexDefinition:
    """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
    try:
        return _in(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption(f"an index definition cannot be read: {error!r}") from error


def _in(stored: dict[str, Any]) -> IndexDefinition:
    if stored["format"] not in (_FORMAT, _CHANGED_FORMAT):
        known = f"{_FORMAT} and {_CHANGED_FORMAT}"
        raise Corruption(f"an index definition has format {stored['format']!r}; this version reads {known}")
    definition = IndexDefinition(
        stored["instance"],
        stored["table"],
        stored["table_id"],
        stored["name"],
        schema_in(stored),
        stored["created_us"],
        uid=stored.get("uid", 0),
    )
    if stored["format"] == _FORMAT:
        return definition
    return replace(
        definition,
        first_us=stored["first_us"],
        made_as=stored["made_as"],
        source=stored["source"],
        weight=stored["weight"],
        next=None if stored["next"] is None else _in(stored["next"]),
    )


def schema_out(schema: IndexSchema) -> dict[str, Any]:
    """The schema as JSON has it."""
    return {
        "fields": [_field_out(field) for field in schema.fields],
        "sort": [sorter_out(sorter) for sorter in schema.sort],
        "routing_fields": list(schema.routing_fields),
        "routing_partition_size": schema.routing_partition_size,
        "ttl_s": schema.ttl_s,
        **({} if schema.recall_target is None else {"recall_target": schema.recall_target}),
    }


def schema_in(stored: dict[str, Any]) -> IndexSchema:
    """Of what `schema_out` gave. Raises ValueError, KeyError, TypeError for anything else."""
    return IndexSchema(
        fields=tuple(_field_in(field) for field in stored["fields"]),
        sort=tuple(sorter_in(sorter) for sorter in stored["sort"]),
        routing_fields=tuple(stored["routing_fields"]),
        routing_partition_size=stored.get("routing_partition_size"),  # definitions were written without it
        ttl_s=stored["ttl_s"],
        recall_target=stored.get("recall_target"),
    )


def _field_out(field: FieldSchema) -> dict[str, Any]:
    vector = field.vector
    text = {} if field.text is None else {"text": _text_out(field.text)}
    virtual = {} if field.is_virtual is None else {"is_virtual": field.is_virtual, "sources": list(field.sources)}
    below = {"fields": [_field_out(sub) for sub in field.fields]} if field.fields else {}
    json_type = {} if field.json_type is None else {"json_type": field.json_type.name}
    return {
        "name": field.name,
        "type": field.type.name,
        "index": field.index,
        "sort_and_aggregate": field.sort_and_aggregate,
        "store": field.store,
        "is_array": field.is_array,
        "vector": None if vector is None else {"dimension": vector.dimension, "metric": vector.metric.name},
        "date_formats": list(field.date_formats),
        **text,
        **virtual,
        **below,
        **json_type,
    }


def _field_in(stored: dict[str, Any]) -> FieldSchema:
    vector = stored["vector"]
    return FieldSchema(
        name=stored["name"],
        type=FieldType[stored["type"]],
        index=stored["index"],
        sort_and_aggregate=stored["sort_and_aggregate"],
        store=stored["store"],
        is_array=stored["is_array"],
        vector=None if vector is None else VectorOptions(vector["dimension"], Metric[vector["metric"]]),
        text=_text_in(stored["text"]) if "text" in stored else None,
        date_formats=tuple(stored["date_formats"]),
        is_virtual=stored.get("is_virtual"),
        sources=tuple(stored.get("sources", ())),
        fields=tuple(_field_in(sub) for sub in stored.get("fields", ())),
        json_type=JsonType[stored["json_type"]] if "json_type" in stored else None,
    )


def _text_out(text: TextOptions) -> dict[str, Any]:
    kinds = {kind: name for name, kind in _PARAMETERS.items()}
    parameters = text.parameters
    return {
        "analyzer": text.analyzer,
        "parameters": None if parameters is None else {"of": kinds[type(parameters)], **asdict(parameters)},
        "similarity": None if text.similarity is None else text.similarity.name,
        "highlighting": text.highlighting,
    }


def _text_in(stored: dict[str, Any]) -> TextOptions:
    parameters = stored["parameters"]
    if parameters is not None:
        values = dict(parameters)
        parameters = _PARAMETERS[values.pop("of")](**values)
    return TextOptions(
        analyzer=stored["analyzer"],
        parameters=parameters,
        similarity=None if stored["similarity"] is None else TextSimilarity[stored["similarity"]],
        highlighting=stored["highlighting"],
    )
