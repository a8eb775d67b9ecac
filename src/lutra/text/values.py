"""From the values of table columns to texts."""

from __future__ import annotations

from lutra.model.indexes import FieldSchema
from lutra.model.values import Value, array_elements


def texts_of(field: FieldSchema, value: Value) -> list[str] | None:
    """As `texts_in`, without how many were left out."""
    found = texts_in(field, value)
    return None if found is None else found[0]


def texts_in(field: FieldSchema, value: Value) -> tuple[list[str], int] | None:
    """The texts of a TEXT field's value and how many were left out, or None where it is not of the field's type.

    An array is a JSON text, whose elements are texts; a null is no element. It is as a whole not of the field's type
    where another element is none. One with a lone surrogate, which UTF-8 has not, is left out alone.
    """
    if type(value) is not str:
        return None
    if not field.is_array:
        return [value], 0
    texts = array_elements(value)
    if texts is None or not all(type(text) is str for text in texts):
        return None
    whole = [text for text in texts if _is_whole(text)]
    return whole, len(texts) - len(whole)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
