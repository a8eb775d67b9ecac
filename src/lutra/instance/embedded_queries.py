"""Searches for words or a picture, of which a model makes the vector that is looked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lutra.embedding.pipeline import Embed, Item
from lutra.embedding.queries import query_vectors
from lutra.instance.embedded import FieldModel, embedding_of
from lutra.instance.embedded_rows import is_blank
from lutra.instance.encoding import shown
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.model.errors import ParameterInvalid

PICTURE_BYTES_MAX: Final = 64 * 1024 * 1024
_WORDS_CHARS_MAX: Final = 100_000
_WORDS_SHOWN: Final = 60


def is_embedded(vector: object) -> bool:
    """Whether it is words or a picture, in place of a vector."""
    return isinstance(vector, str | bytes | bytearray | memoryview | Path)


def embedded_query(vector: object, field: str | None, layout: Layout) -> tuple[object, str | None]:
    """What is looked for, and in which field: a vector where it was words, a picture or the path of one.

    Raises ParameterInvalid where no field goes with it, EmbeddingError.
    """
    if not is_embedded(vector):
        return vector, field
    [(made, name)] = embedded_queries([vector], field, layout)
    return made, name


def embedded_queries(vectors: Iterable[object], field: str | None, layout: Layout) -> list[tuple[object, str | None]]:
    """As `embedded_query`, of several; a model makes all of its vectors together."""
    if is_embedded(vectors):
        raise ParameterInvalid(f"search_many takes a list of what to look for, not one {type(vectors).__name__}")
    vectors = list(vectors)
    result: list[tuple[object, str | None]] = [(vector, field) for vector in vectors]
    wanted: dict[tuple[str, bool], list[int]] = {}
    items: dict[int, Item] = {}
    for number, vector in enumerate(vectors):
        if is_embedded(vector):
            items[number] = _item(vector)
            is_picture = isinstance(items[number], bytes)
            wanted.setdefault((_field_for(field, layout, items[number]).name, is_picture), []).append(number)
    for (name, is_picture), numbers in wanted.items():
        model, embed = _model(layout.fields[name], is_picture)
        made = query_vectors.of(model.embedder, embed, [items[number] for number in numbers])
        for number, vector in zip(numbers, made, strict=True):
            result[number] = (vector, name)
    return result


def _item(vector: object) -> Item:
    """Raises ParameterInvalid."""
    if isinstance(vector, str):
        if is_blank(vector) or len(vector) > _WORDS_CHARS_MAX:
            raise ParameterInvalid(f"words to look for: 1 to {_WORDS_CHARS_MAX:,} characters, not {len(vector):,}")
        return vector
    if isinstance(vector, Path):
        vector = _read(vector)
    assert isinstance(vector, bytes | bytearray | memoryview)
    data = bytes(vector)
    if not data or len(data) > PICTURE_BYTES_MAX:
        raise ParameterInvalid(f"a picture to look for: 1 to {PICTURE_BYTES_MAX:,} bytes, not {len(data):,}")
    return data


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PICTURE_BYTES_MAX + 1)
    except OSError as error:
        raise ParameterInvalid(f"{path} cannot be read: {error.strerror}") from error


def _field_for(name: str | None, layout: Layout, item: Item) -> Field:
    """The field of vectors that is searched. Without a name, the only one that is made of such: of words those of
    texts come first, of pictures those of bytes."""
    is_picture = isinstance(item, bytes)
    if name is not None:
        field = layout.vector_field(name)
        if field.embedding is None:
            raise ParameterInvalid(_no_model(field, layout, item))
        return field
    like = [field for field in layout.embedded if (_source(field, layout).kind is Kind.BYTES) == is_picture]
    found = like or list(layout.embedded)
    if not found:
        raise ParameterInvalid(_no_model(None, layout, item))
    if len(found) > 1:
        raise ParameterInvalid(
            f"table {layout.table!r} has several fields to look for {'a picture' if is_picture else 'words'} in: say "
            f"field=, one of {', '.join(field.name for field in found)}"
        )
    return found[0]


def _model(field: Field, is_picture: bool) -> tuple[FieldModel, Embed]:
    model = FieldModel.of(field)
    embed = model.of_pictures if is_picture else model.of_words
    if embed is None:
        what, takes = ("pictures", "words") if is_picture else ("words", "a picture")
        raise ParameterInvalid(
            f"field {field.name!r}: the model {embedding_of(field).model!r} makes no vectors of {what}: give {takes}"
        )
    return model, embed


def _source(field: Field, layout: Layout) -> Field:
    return layout.fields[embedding_of(field).source]


def _no_model(field: Field | None, layout: Layout, item: Item) -> str:
    """Says that words, or a picture, cannot stand for a vector here."""
    which = f"table {layout.table!r} has no vector field with a model"
    if field is not None:
        which = f"the vector field {field.name!r} of table {layout.table!r} has no model"
    advice = f"{which}: declare one with lutra.Vector(..., embed=, with_=)"
    if isinstance(item, str):
        return (
            f"a vector is numbers: to look for words, write text={item[:_WORDS_SHOWN]!r}; for their meaning: {advice}"
        )
    numbers = "" if field is None or field.vector is None else f" of {field.vector.dimension} numbers"
    return f"expected a vector{numbers}, got {shown(item)}; {advice}"
