"""What aggregations and group-bys of a request should come to in a world."""

from __future__ import annotations

from hypothesis import assume
from support.reference.answer import matches
from support.reference.group_bys import aggregated
from support.worlds.world import World

from lutra.model.aggregations import Aggregated
from lutra.model.queries import SearchRequest


def expected_aggregates(world: World, request: SearchRequest, page: int) -> Aggregated | None:
    """None where nobody asks. ``page``: as of `support.worlds.expected.expected_hits`."""
    if not request.aggregations and not request.group_bys:
        return None
    space = world.space
    found = matches(space, request, page)
    result = aggregated(space, found, request.aggregations, request.group_bys)
    assume(not space.is_close)
    return result
