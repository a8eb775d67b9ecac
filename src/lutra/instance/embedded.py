"""Fields whose vectors a model makes of another field: what goes with them, and what makes their vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from lutra.embedding.embedder import Embedder, ModelUnusable, MultimodalEmbedder, TextEmbedder
from lutra.embedding.models import canonical_name, open_model
from lutra.embedding.pipeline import Embed
from lutra.instance.field import Field, Kind
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import Embedding
from lutra.model.suggestions import suggestion

_TEXTS: Final = frozenset({Kind.STR, Kind.TEXT})
_SOURCES: Final = _TEXTS | {Kind.BYTES}


@dataclass(frozen=True, slots=True)
class FieldModel:
    """The model of a field, opened."""

    embedder: Embedder
    of_words: Embed | None
    """Vectors of words that are looked for; None where the model knows none."""
    of_texts: Embed | None
    of_pictures: Embed | None

    @classmethod
    def of(cls, field: Field) -> FieldModel:
        """Raises EmbeddingError where the model cannot be opened, or is not what it was when the field was declared."""
        model, dimension = embedding_of(field).model, _dimension(field)
        try:
            found = cls._opened(model, dimension)
        except ParameterInvalid as error:
            raise ModelUnusable(f"field {field.name!r}: {error}") from error
        if found.embedder.dimension != dimension:
            raise ModelUnusable(
                f"field {field.name!r} has {dimension} dimensions, but the model {model!r} makes vectors of "
                f"{found.embedder.dimension}"
            )
        return found

    @classmethod
    def _opened(cls, model: str, dimension: int) -> FieldModel:
        embedder = open_model(model, dimension)
        if isinstance(embedder, TextEmbedder):
            return cls(embedder, embedder.embed_query, embedder.embed, None)
        of_texts = embedder.embed_texts if isinstance(embedder, MultimodalEmbedder) else None
        return cls(embedder, of_texts, of_texts, embedder.embed)

    def of_source(self, source: Field) -> Embed | None:
        """Vectors of what rows have in the field that is embedded; None where that is nothing for this model."""
        return self.of_texts if source.kind in _TEXTS else self.of_pictures


def checked(field: Field, fields: Mapping[str, Field]) -> Field:
    """A field that was declared, with its model's name as a table records it; ``fields``: all that the table has.

    Raises ParameterInvalid where it goes neither with its model nor with the other fields, EmbeddingError where the
    model cannot be opened.
    """
    if field.embedding is None:
        return field
    of = field.embedding
    source = fields.get(of.source)
    if source is None or source.embedding is not None:
        others = [name for name in fields if name != field.name]
        raise ParameterInvalid(
            f"field {field.name!r}: embed= names the field that vectors are made of, and {of.source!r} is none of "
            f"{', '.join(others) or 'them: there is no other'}{suggestion(of.source, others)}"
        )
    if source.kind not in _SOURCES or source.is_array:
        raise ParameterInvalid(
            f"field {field.name!r}: vectors are made of str, lutra.Text or bytes, and {of.source!r} is "
            f"{'a list' if source.is_array else source.kind.value}"
        )
    model = FieldModel._opened(of.model, _dimension(field))
    if model.of_source(source) is None:
        kinds, takes = ("texts", "str or lutra.Text") if model.of_pictures is None else ("pictures", "bytes")
        raise ParameterInvalid(
            f"field {field.name!r}: {of.model!r} is a model of {kinds}, and embed= names a field of {takes}: "
            f"{of.source!r} is {source.kind.value}"
        )
    if model.embedder.dimension != _dimension(field):
        raise ParameterInvalid(
            f"field {field.name!r}: the model {of.model!r} makes vectors of {model.embedder.dimension} numbers: write "
            f"lutra.Vector({model.embedder.dimension}, ...), not {_dimension(field)}"
        )
    return replace(field, embedding=Embedding(of.source, canonical_name(of.model)))


def embedding_of(field: Field) -> Embedding:
    """Of a field that has one."""
    assert field.embedding is not None, field.name
    return field.embedding


def _dimension(field: Field) -> int:
    assert field.vector is not None, field.name
    return field.vector.dimension
