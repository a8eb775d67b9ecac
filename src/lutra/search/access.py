"""How searches come to the fields of a part: the one place that knows how parts keep them."""

from __future__ import annotations

from lutra.scalars.part import ScalarPart
from lutra.segments.part import Part
from lutra.vectors.part import VectorPart


def scalars_of(part: Part, name: str) -> ScalarPart:
    """The values of a field that is filtered and sorted by."""
    return part.scalars[name]


def vectors_of(part: Part, name: str) -> VectorPart:
    """The vectors of a field that has neighbours."""
    return part.vectors[name]


def column_of(part: Part, name: str) -> ScalarPart | VectorPart:
    """A field of any kind."""
    return part.scalars.get(name) or part.vectors[name]
