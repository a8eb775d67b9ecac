"""When a search has to be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lutra.model import limits
from lutra.model.deadline import NEVER, Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid


@contextmanager
def searching(timeout_ms: int | None) -> Iterator[Deadline]:
    """What is done in the block has so long, counted from the beginning of the request it belongs to.

    None or more than the limit mean the limit. Raises ParameterInvalid where it is below 1.
    """
    if timeout_ms is not None and timeout_ms < 1:
        raise ParameterInvalid(f"[timeout_ms] must be at least 1, not {timeout_ms}")
    limit_s = min(timeout_ms or limits.SEARCH_TIMEOUT_MS_MAX, limits.SEARCH_TIMEOUT_MS_MAX) / 1_000
    deadline = current_deadline()
    if deadline is NEVER:
        with working_for(Deadline(limit_s, what="search")) as own:
            yield own
    else:
        deadline.shorten(limit_s, "search")
        yield deadline
