"""One vector field of a part of an index, in memory or on disk, as a search sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Share
from lutra.kernels.selection import Selection
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema, VectorOptions
from lutra.vectors.calibration import Checked, Fallback

RECALL_TARGET_DEFAULT: Final = 0.95
"""Where nobody says what share of the true neighbours is to be found."""

POST_FILTERED: Final = "post_filter"
"""The strategy of a search that walked without its filter, and checked it on what it came by."""
_EXACT: Final = frozenset({"exact", "brute_force"})


@dataclass(frozen=True, slots=True)
class KnnCounters:
    """What one search among the vectors of one part took."""

    strategy: str
    """``exact``, or the name of a `lutra.kernels.searcher.Strategy` in lower case."""
    distances: int
    """Estimates and exact ones."""
    hops: int = 0
    reads: int = 0
    bytes: int = 0
    recall: float | None = None
    """As the build checked what is searched; None where it did not, or all are compared anyway."""
    fallback: Fallback = Fallback.NONE
    """What is done in place of what would be planned, as that was found to miss too much."""
    exact_rows: int = 0
    """That every search compares, as codes do not describe them."""
    compared: int = 0
    """Of the distances: exact ones."""
    planned: str = ""
    """The strategy it began with, where there was a choice."""

    @property
    def exact(self) -> bool:
        """Whether all documents in question were compared."""
        return self.strategy in _EXACT


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was known of a search before it began: what each way would take, and more of the one that takes least."""

    kind: str
    """``flat``, ``codes`` or ``graph``: what the vectors have."""
    us: Mapping[str, float]
    """By strategy; microseconds on the clock of a machine with nothing else to do."""
    processor_us: Mapping[str, float]
    """The same without waiting for reads."""
    strategy: str
    distances: int
    reads: int
    bytes: int
    recall: float | None
    """As it was measured when the segment was built; None where it was not."""


class Thorough(NamedTuple):
    """What a part's nearest are, all but surely: to compare others with."""

    docs: npt.NDArray[np.int64]
    """[k'], nearest first."""
    distances: npt.NDArray[np.float32]
    """[k'], exact."""
    read_bytes: int
    """Of vectors, for this."""


class Near(NamedTuple):
    """Documents near a query."""

    docs: npt.NDArray[np.int64]
    """Ascending."""
    distances: int
    """Estimates that it took to find them."""


class VectorPart(Protocol):
    """The vectors of a part's documents 0 to ``size`` - 1, unchanging. Thread-safe."""

    @property
    def field(self) -> FieldSchema: ...

    @property
    def options(self) -> VectorOptions: ...

    @property
    def size(self) -> int: ...

    def come(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        lasting: Sequence[RowMask],
    ) -> None:
        """Has what `share` needs for ``queries`` (float32[q, dimension]) read, where that is not in memory yet, for all
        of them at once. `topk` does so by itself. Raises Corruption, StorageFailure, RequestTimeout.
        """

    def exists(self) -> Selection:
        """Documents with a vector."""

    def count(self, mask: RowMask | None) -> int:
        """How many documents of ``mask`` (None: of all) have a vector."""

    def docs(self) -> Docs:
        """int32[rows], read-only or the caller's own: the document of each vector, in the order of `row_blocks`."""

    def row_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """All vectors, float32[n, dimension] at a time, a few MB each or views: what a build reads.

        Raises Corruption, StorageFailure.
        """

    def read(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """float32[n, dimension]: the vectors at these places of `docs`, in their order. Raises as `row_blocks`."""

    def basis(self) -> npt.NDArray[np.int16]:
        """int16[m, dimension]: directions that hold most of what vectors vary by, those of the most variance first;
        [0, dimension] where none are known. Raises as `row_blocks`.
        """

    def predicted(
        self, k: int, qualifying: int | None, num_candidates: int | None, recall_target: float
    ) -> Predicted | None:
        """What finding ``k`` among so many documents (None: all) was thought to take; None where all are compared."""

    def thorough(self, query: npt.NDArray[np.float32], k: int, mask: RowMask | None, bytes_max: int) -> Thorough | None:
        """The ``k`` nearest to ``query`` among those of ``mask``, as `topk`, but hardly any of the true ones missing.

        None where no codes tell what to leave out, and vectors of more than ``bytes_max`` would be read. Raises as
        `topk`.
        """

    def near(
        self, query: npt.NDArray[np.float32], k: int, passing: float, us_max: float, recall_target: float
    ) -> Near | None:
        """Documents near ``query`` (float32[dimension]), so many that ``k`` of them should pass a filter that the share
        ``passing`` of all do: to check it on these alone. Nothing is read for it.

        None where there is no quick way to them: it would take more than ``us_max`` microseconds, or is not to be
        trusted. Raises RequestTimeout.
        """

    def topk(
        self,
        query: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        within: float = math.inf,
        lasting: Sequence[RowMask] = (),
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], KnnCounters]:
        """The ``k`` documents nearest to ``query`` (float32[dimension]) among those of ``mask``.

        Returns documents int64[k'] and exact distances float32[k'], as `lutra.kernels.distance` defines them, nearest
        first; of documents as near as the last one, any. k' is less than ``k`` where fewer qualify. Where the search is
        approximate, ``recall_target`` is the share of the true ones to find, on average; ``num_candidates`` says in
        place of it how many to keep going with and to compare. Documents farther than ``within`` may be left out. Of
        masks that are ``lasting``, which come again with the next searches and have ``mask`` in common, more is kept.

        Raises Corruption, StorageFailure.
        """

    def topk_many(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        mask: RowMask | None = None,
        *,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        lasting: Sequence[RowMask] = (),
    ) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], KnnCounters]]:
        """`topk` of each of ``queries``, float32[q, dimension], C-contiguous."""

    def share(
        self,
        k: int,
        mask: RowMask | None,
        *,
        num_candidates: int | None,
        recall_target: float,
        lasting: Sequence[RowMask],
    ) -> tuple[Share, Checked] | None:
        """What `topk` does, for one native call that does it in several parts, and what the build checked of it; None
        where it is done apart."""
