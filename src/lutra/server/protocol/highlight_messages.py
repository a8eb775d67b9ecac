"""Highlighting on the wire: what a search asks for, and the fragments of its hits."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import FragmentOrder, Fragments, Highlight, HighlightEncoder, HighlightField
from lutra.server.protocol.parsing import enum_of
from lutra.server.wire import query_pb2 as wire


def parse_highlight(message: wire.Highlight) -> Highlight:
    """What a search wants to be highlighted. Raises ParameterInvalid naming what is malformed or out of bounds."""
    if len(message.highlight_parameters) > limits.HIGHLIGHT_FIELDS_MAX:
        raise ParameterInvalid(f"the count of fields to highlight exceeds the max: {limits.HIGHLIGHT_FIELDS_MAX}")
    fields = tuple(_parse_field(parameter) for parameter in message.highlight_parameters)
    if not message.HasField("highlight_encoder"):
        return Highlight(fields)
    return Highlight(fields, enum_of(HighlightEncoder, message.highlight_encoder, "highlight encoder"))


def _parse_field(message: wire.HighlightParameter) -> HighlightField:
    name = message.field_name
    if not name:
        raise ParameterInvalid("a HighlightParameter has no [field_name]")
    wanted = HighlightField(name)
    order = wanted.order
    if message.HasField("fragments_order"):
        order = enum_of(FragmentOrder, message.fragments_order, f"order of the fragments of field [{name}]")
    return HighlightField(
        name,
        fragments=message.number_of_fragments if message.HasField("number_of_fragments") else wanted.fragments,
        fragment_chars=message.fragment_size if message.HasField("fragment_size") else wanted.fragment_chars,
        pre_tag=message.pre_tag if message.HasField("pre_tag") else wanted.pre_tag,
        post_tag=message.post_tag if message.HasField("post_tag") else wanted.post_tag,
        order=order,
    )


def highlight_result(fragments: Fragments) -> wire.HighlightResult:
    """The fragments of one hit."""
    return wire.HighlightResult(
        highlight_fields=[
            wire.HighlightField(field_name=name, field_fragments=texts) for name, texts in fragments.items()
        ]
    )
