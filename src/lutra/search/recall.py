"""How many of the true neighbours a search has found: told to whoever asks it to explain itself.

Each part is searched once more, so that hardly any of the true ones is missed: a buffer's vectors are all compared, of
a segment all codes are looked at. Where codes are not in memory, its vectors are read up to a bound; beyond that
nothing is told of any part, as which rows are the nearest is then not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import nearest as nearest_in
from lutra.model.deadline import working_for
from lutra.model.errors import RequestTimeout
from lutra.search.candidates import in_question
from lutra.search.nodes.knn import Near, NearNode, Sampled
from lutra.search.nodes.node import PartSearch, Placed
from lutra.search.scores import Docs

READ_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of vectors, for one search."""


class _Truth(NamedTuple):
    """The nearest of one part, nearest first, and what was found there."""

    node: NearNode
    docs: Docs
    distances: npt.NDArray[np.float32]


def sample_recall(conditions: Iterable[Placed], parts: Sequence[PartSearch]) -> None:
    """Tells the nodes of the KNN queries among ``conditions`` how many they should have found.

    Not those within nested documents, where a row counts once; nor what is not known by the deadline of the search, of
    which this is the end. Raises StorageFailure, Corruption.
    """
    with suppress(RequestTimeout), working_for(parts[0].deadline):
        for space, condition in conditions:
            if isinstance(condition, Near) and not condition.is_nested:
                truths = _truths(condition, [part.space(space) for part in parts])
                if truths is not None:
                    _tell(truths, condition.top_k)


def _truths(condition: Near, parts: Sequence[PartSearch]) -> list[_Truth] | None:
    """By part that has anything to find; None where that takes too much."""
    truths: list[_Truth] = []
    left_bytes = READ_BYTES_MAX
    for part in parts:
        node, mask = part.node(condition), in_question(condition, part)
        assert isinstance(node, NearNode)
        if not part.part.rows or (mask is not None and not mask.count):
            continue
        part.deadline.check()
        vectors = nearest_in(part.part, condition.field)
        found = vectors.thorough(condition.vector, condition.top_k, mask, left_bytes)
        if found is None:
            return None
        left_bytes = max(0, left_bytes - found.read_bytes)
        truths.append(_Truth(node, found.docs, found.distances))
    return truths


def _tell(truths: Sequence[_Truth], top_k: int) -> None:
    together = np.concatenate([np.empty(0, np.float32), *(truth.distances for truth in truths)])
    if not len(together):
        return
    bound = np.sort(together)[min(top_k, len(together)) - 1]
    within = [truth.node.nearest.distances <= bound for truth in truths]
    missed = [_missed(truth, truth.distances < bound) for truth in truths]
    # Of those as near as the last one any would do: what is still wanting is missed where there are more of them.
    wanting = min(top_k, len(together)) - sum(int(found.sum()) for found in within) - sum(missed)
    for truth, found, nearer in zip(truths, within, missed, strict=True):
        tied = min(max(wanting, 0), _missed(truth, truth.distances == bound))
        wanting -= tied
        count = int(found.sum())
        truth.node.sampled = Sampled(count + nearer + tied, count)


def _missed(truth: _Truth, among: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(~np.isin(truth.docs[among], truth.node.nearest.docs)))
