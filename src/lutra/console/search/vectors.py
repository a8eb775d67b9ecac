"""Vectors that a search looks for: of texts, by models; of rows that have one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.console.search.fields import SearchField
from lutra.embedding.embedder import Embedder, MultimodalEmbedder, PictureEmbedder, TextEmbedder
from lutra.embedding.models import model_names, open_model
from lutra.embedding.pipeline import Embed, Item
from lutra.embedding.queries import query_vectors
from lutra.instance.table import Table
from lutra.instance.vector import Vector
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.rows import PrimaryKey


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can make vectors of a field. ``is_own``: rows' vectors are made by it."""

    name: str
    kind: str
    about: str
    dimension: int | None
    is_own: bool = False


class TableVectors:
    """Of one table. Implements `lutra.console.search.finding.Vectors`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def models(self, field: SearchField) -> list[Model]:
        """Those that can be used here and now for a field's vectors, its own first.

        Only models that need no argument: what comes after a colon would have the server open any file.
        """
        assert field.schema.vector is not None
        dimension, own = field.schema.vector.dimension, self._own(field)
        known = model_names()
        kinds = {one.name.partition(":")[0]: one.kind for one in known}
        found = [] if own is None else [Model(own, kinds.get(own.partition(":")[0], "text"), "", dimension, True)]
        for one in known:
            is_ready = one.missing is None and ":" not in one.name and one.dimension == dimension
            if is_ready and one.name != own:
                found.append(Model(one.name, one.kind, one.about, one.dimension))
        return found

    def of_text(self, field: SearchField, text: str, model: str | None) -> npt.NDArray[np.float32]:
        """float32[dimension]. Raises ParameterInvalid, EmbeddingError."""
        embedder = self._opened(field, model)
        if isinstance(embedder, TextEmbedder):
            return _made(embedder, embedder.embed_query, text)
        if isinstance(embedder, MultimodalEmbedder):
            return _made(embedder, embedder.embed_texts, text)
        raise ParameterInvalid(f"the model {embedder.name!r} makes vectors of pictures, not of texts")

    def of_picture(self, field: SearchField, content: bytes, model: str | None) -> npt.NDArray[np.float32]:
        """float32[dimension], of a picture's file. Raises ParameterInvalid, EmbeddingError."""
        embedder = self._opened(field, model)
        if isinstance(embedder, TextEmbedder) or not isinstance(embedder, PictureEmbedder):
            raise ParameterInvalid(f"the model {embedder.name!r} makes vectors of texts, not of pictures")
        return _made(embedder, embedder.embed, content)

    def of_row(self, field: SearchField, key: PrimaryKey) -> npt.NDArray[np.float32]:
        """float32[dimension]: of a row, or of the first of its documents that has one. Raises ObjectNotExist,
        ParameterInvalid."""
        row = self._table.get(*(value for _, value in key), columns=[field.name.split(".")[0]])
        if row is None:
            raise ObjectNotExist("there is no such row")
        found = vector_in(row, field.name)
        if found is None:
            raise ParameterInvalid(f"the row has no vector in {field.name}")
        return found

    def _own(self, field: SearchField) -> str | None:
        """The model that the field says its vectors are made by."""
        declared = self._table.fields.get(field.name)
        return declared.with_ if isinstance(declared, Vector) else None

    def _opened(self, field: SearchField, model: str | None) -> Any:
        known = [one.name for one in self.models(field)]
        name = model or next(iter(known), None)
        if name is None:
            raise ParameterInvalid(f"no model here makes vectors as {field.name} has them")
        if name not in known:
            raise ParameterInvalid(f"{name!r} is no model for {field.name}: there are {', '.join(known) or 'none'}")
        assert field.schema.vector is not None
        return open_model(name, field.schema.vector.dimension)


def _made(embedder: Embedder, embed: Embed, item: Item) -> npt.NDArray[np.float32]:
    """The vector of one text or picture; who turns the page asks for the same again. Raises EmbeddingError."""
    made: npt.NDArray[np.float32] = query_vectors.of(embedder, embed, [item])[0]
    return made


def vector_in(row: Mapping[str, Any], name: str) -> npt.NDArray[np.float32] | None:
    """What a row has in a vector field, float32[dimension]: itself, or the first of its documents that has one; None
    where there is none."""
    column, *path = name.split(".")
    found = _first(row.get(column), path)
    return np.asarray(found, np.float32) if isinstance(found, np.ndarray | list) and len(found) else None


def _first(value: Any, path: list[str]) -> Any:
    """The first value at a path into objects, and lists of them."""
    if not path or value is None:
        return value
    for one in value if isinstance(value, list) else [value]:
        found = _first(one.get(path[0]), path[1:]) if isinstance(one, dict) else None
        if found is not None:
            return found
    return None
