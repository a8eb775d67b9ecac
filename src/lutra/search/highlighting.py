"""What of a hit's texts is asked to be shown."""

from __future__ import annotations

from lutra.fields.kinds import kind_of
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import IndexSchema
from lutra.model.queries import Highlight


def check_highlight(schema: IndexSchema, highlight: Highlight, space: str = "") -> None:
    """Raises ParameterInvalid where a field has no words to highlight, or more is asked for than a search gives.

    ``space``: of the nested field whose documents' texts are shown; empty: those of rows are.
    """
    if len(highlight.fields) > limits.HIGHLIGHT_FIELDS_MAX:
        raise ParameterInvalid(f"[highlight] has at most {limits.HIGHLIGHT_FIELDS_MAX} fields")
    for wanted in highlight.fields:
        field = schema.field_in(space, wanted.field)
        if field is None:
            raise ParameterInvalid(f"[highlight] field: {wanted.field} does not exist")
        if not kind_of(field).is_searchable:
            kind = field.type.name.lower()
            raise ParameterInvalid(f"[highlight] field: {wanted.field} type: {kind} is invalid, allow [text]")
        if field.text is None or not field.text.highlighting:
            raise ParameterInvalid(f"highlighting is not supported for field[{wanted.field}]")
        if not 1 <= wanted.fragments <= limits.HIGHLIGHT_FRAGMENTS_MAX:
            raise ParameterInvalid(
                f"[highlight] number_of_fragments must be in [1, {limits.HIGHLIGHT_FRAGMENTS_MAX}], "
                f"not {wanted.fragments}"
            )
        if not 1 <= wanted.fragment_chars <= limits.FRAGMENT_CHARS_MAX:
            raise ParameterInvalid(
                f"[highlight] fragment_size must be in [1, {limits.FRAGMENT_CHARS_MAX}], not {wanted.fragment_chars}"
            )
        if max(len(wanted.pre_tag), len(wanted.post_tag)) > limits.TAG_CHARS_MAX:
            raise ParameterInvalid(f"[highlight] a tag has at most {limits.TAG_CHARS_MAX} characters")
