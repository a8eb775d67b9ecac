"""Vectors as short codes whose distances are estimated, and scans of them (``native/codes``).

`Quantizer` is RaBitQ (Gao & Long, SIGMOD 2024; several bits: SIGMOD 2025): rotated residuals in 1 to 8 bits a
dimension, an unbiased estimate and a bound on its error. `ProductQuantizer` (Jégou, Douze & Schmid, PAMI 2011) is there
to compare with (``bench/codes.py``), for vectors that are no extreme ones. Both have the same seam, `Codec`.

Distances are those of `lutra.kernels.distance.topk`: EUCLIDEAN the squared distance; COSINE one minus the cosine, where
a vector of length 0 has cosine 0 to every other; DOT_PRODUCT minus the product; those beyond 2^100 or below 2^-100 are
packed (`lutra.kernels.distance.wide`). Records are the same to the byte on every machine. Arrays are not converted in
silence: a TypeError is raised where dtype, rank or layout are not as given. The GIL is released.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.distance import require_finite
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]
Records = NDArray[np.uint8]

# How many standard deviations of an estimate's error its bounds allow.
BOUND_SIGMAS = 1.9

# Of a record, beside its code,
FACTOR_BYTES = 8
# and of the number of its centre, where there are several.
CENTRE_BYTES = 4

# Rows a centroid is the mean of: more do not move it by what the codes could tell.
_CENTROID_ROWS = 65_536
# Rows that the middle is found from: a median takes them by the element.
_MIDDLE_ROWS = 1_024
# Of a length whose square is not exact in 32 bits, a little more.
_SHORT = 1e-18
# Median distances from the middle: who lies farther has no part in the mean.
_FAR = 8.0


class Described(enum.IntEnum):
    """How well a record tells its own vector; the numbers are those of ``native/codes/codes.h``."""

    WELL = 0
    RAISED = 1
    """Only by a bound that was made wider for it: it may not be found first."""
    HARDLY = 2
    """Its estimates say next to nothing."""


class CodeQuery(Protocol):
    """A query made ready to be compared with records. Immutable: any number of threads may use one."""

    @property
    def native(self) -> _native.QueryCode | _native.ProductQuery: ...

    def estimate(self, records: Records) -> NDArray[np.float32]: ...

    def bounds(self, records: Records) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


class Codec(Protocol):
    """Makes records of vectors, and queries that are compared with them."""

    @property
    def record_bytes(self) -> int: ...

    def encode(self, vectors: Vectors, threads: int = 0) -> Records: ...

    def query(self, vector: Vectors) -> CodeQuery: ...


class Query:
    """What a codec makes of a query vector; see `Quantizer.query`."""

    __slots__ = ("native",)

    def __init__(self, native: _native.QueryCode | _native.ProductQuery) -> None:
        self.native = native

    def estimate(self, records: Records) -> NDArray[np.float32]:
        """Estimated distances float32 [n] to the vectors of uint8 [n, record_bytes] ``records``; never NaN."""
        return self.native.estimate(records)

    def bounds(self, records: Records) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``(lower, upper)``, float32 [n] each: the true distance is within them but for a small share.

        Of product codes nothing is known: minus and plus infinity.
        """
        return self.native.bounds(records)


@dataclass(frozen=True, slots=True)
class CodePart:
    """Some of a basis' directions, one after the other, that are coded alike."""

    bits: int
    """8, 4, 2 or 1 a direction; parts have ever fewer."""
    dimensions: int
    """How many directions: a multiple of 64."""
    step: float
    """Between levels, as a share of a residual's length."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Directions to code vectors along, in place of their dimensions (``native/codes/code_basis.h``)."""

    directions: NDArray[np.int16]
    """[parts' dimensions, dimension]: unit vectors, times 32767, orthogonal to each other; or zeros."""
    parts: tuple[CodePart, ...]
    spread: float
    """The standard deviation of a code's error in a direction, as a share of the error's length."""

    @property
    def record_bytes(self) -> int:
        return sum(part.bits * part.dimensions for part in self.parts) // 8 + FACTOR_BYTES


class Quantizer:
    """RaBitQ codes of ``bits`` bits a dimension, or along the directions of a `Basis` (`of_basis`).

    :param dimension: 1 to 4096; padded to a multiple of 64.
    :param bits: 1, 2, 4 or 8.
    :param centroid: finite float32 [dimension], what is taken from each vector first (`centroid_of`); None: nothing.
    :param seed: of the random rotation, 0 to 2^64 - 1.
    :param level: one of `code_levels`, for tests and measurements; None: the best. Results do not depend on it.
    :raises ValueError: a parameter is not one of these.

    A record is the code, padded dimension * bits / 8 bytes, and two factors of 4 bytes each.
    """

    __slots__ = ("_native", "dimension")

    def __init__(
        self,
        dimension: int,
        bits: int,
        metric: Metric,
        centroid: Vectors | None = None,
        seed: int = 0,
        level: str | None = None,
    ) -> None:
        if centroid is not None:
            require_finite(centroid[None, :])
        self._native = _native.Quantizer(dimension, bits, metric, centroid, seed, level)
        self.dimension = dimension

    @classmethod
    def of_basis(
        cls, basis: Basis, metric: Metric, centroid: Vectors, seed: int = 0, level: str | None = None
    ) -> Quantizer:
        """Codes along the directions of ``basis``. Raises ValueError where it makes no sense."""
        require_finite(centroid[None, :])
        made = cls.__new__(cls)
        parts = [(part.bits, part.dimensions, part.step) for part in basis.parts]
        made._native = _native.Quantizer(basis.directions, parts, basis.spread, metric, centroid, seed, level)
        made.dimension = len(centroid)
        return made

    @classmethod
    def of_centres(
        cls, bits: int, metric: Metric, centres: Vectors, seed: int = 0, level: str | None = None
    ) -> Quantizer:
        """Codes against the nearest of ``centres``, finite float32 [c, dimension], for vectors that lie in clusters.

        Records of several centres end with the number of theirs, 4 bytes. Under COSINE centres are of directions.
        Raises ValueError as the constructor does.
        """
        require_finite(centres)
        made = cls.__new__(cls)
        made._native = _native.Quantizer(bits, metric, centres, seed, level)
        made.dimension = centres.shape[1]
        return made

    @property
    def native(self) -> _native.Quantizer:
        """For other kernels, which walk over records."""
        return self._native

    @property
    def record_bytes(self) -> int:
        return self._native.record_bytes

    @property
    def coded_dimension(self) -> int:
        """Elements that are coded: of the padded dimension, or of a basis' directions."""
        return self._native.coded_dimension

    def encode(self, vectors: Vectors, threads: int = 0) -> Records:
        """Records uint8 [n, record_bytes] of float32 [n, dimension] ``vectors``.

        :param threads: at most so many; 0: as many as the process may use.
        :raises ParameterInvalid: a vector has an element that is not finite; the text names the row.
        """
        require_finite(vectors)
        return self._native.encode(vectors, threads)

    def encode_described(self, vectors: Vectors, threads: int = 0) -> tuple[Records, NDArray[np.uint8]]:
        """What `encode` gives, and a `Described` for each vector, uint8 [n]."""
        require_finite(vectors)
        return self._native.encode_described(vectors, threads)

    def query(self, vector: Vectors, bound_sigmas: float = BOUND_SIGMAS) -> Query:
        """A query float32 [dimension], to be compared with this quantizer's records; it may outlive the quantizer.

        :param bound_sigmas: standard deviations of the estimate's error that the bounds allow: 1.9 leaves at most
            3 % of true distances outside on either side.
        :raises ParameterInvalid: an element is not finite.
        """
        require_finite(vector[None, :])
        return Query(self._native.query(vector, bound_sigmas))


class ProductQuantizer:
    """A byte for each of ``groups`` groups of dimensions, trained by k-means on at most 16,384 of ``vectors``.

    :param vectors: finite float32 [n, dimension]; any n, though fewer than 256 rows repeat centroids.
    :param groups: 1 to the dimension; a record has so many bytes.
    :param seed: of the sample and the first centroids.
    :param threads: at most so many; 0: as many as the process may use.
    :raises ParameterInvalid: a vector has an element that is not finite.
    :raises ValueError: ``groups`` or ``level`` make no sense.
    """

    __slots__ = ("_native", "dimension")

    def __init__(
        self,
        vectors: Vectors,
        groups: int,
        metric: Metric,
        seed: int = 0,
        threads: int = 0,
        level: str | None = None,
    ) -> None:
        require_finite(vectors)
        self._native = _native.ProductQuantizer(vectors, groups, metric, seed, threads, level)
        self.dimension = vectors.shape[1]

    @property
    def record_bytes(self) -> int:
        return self._native.record_bytes

    def encode(self, vectors: Vectors, threads: int = 0) -> Records:
        """Records uint8 [n, record_bytes] of float32 [n, dimension] ``vectors``; raises as `Quantizer.encode`."""
        require_finite(vectors)
        return self._native.encode(vectors, threads)

    def query(self, vector: Vectors) -> Query:
        """A query float32 [dimension]; raises ParameterInvalid where an element is not finite."""
        require_finite(vector[None, :])
        return Query(self._native.query(vector))


def centroid_of(vectors: Vectors, metric: Metric) -> Vectors:
    """The centroid float32 [d] a `Quantizer` of float32 [n, d] ``vectors`` is best given; zero where there are none.

    The mean of at most 65,536 rows, evenly spread; under COSINE of their directions. Rows that lie many times as far
    from the middle as the median row are left out: a single one, mis-scaled, would move the mean away from all others.
    """
    sample = vectors[:: max(1, -(-len(vectors) // _CENTROID_ROWS))]
    if len(sample) == 0:
        return np.zeros(vectors.shape[1], dtype=np.float32)
    if metric is Metric.COSINE:
        sample = directions_of(sample)
    centroid: Vectors = sample[_is_near(sample)].mean(axis=0, dtype=np.float64).astype(np.float32)
    return centroid


def directions_of(vectors: Vectors) -> Vectors:
    """float32 [n, d] of length 1, of any finite vectors; zero where there is none."""
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    is_plain = np.isfinite(lengths) & (lengths > _SHORT)
    directions: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=is_plain)
    others = ~is_plain[:, 0]
    if others.any():  # their squares do not fit 32 bits
        wide = vectors[others].astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        directions[others] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return directions


def _is_near(vectors: Vectors) -> NDArray[np.bool_]:
    """bool [n]: which of float32 [n, d] lie within `_FAR` median distances of a middle that no few of them move."""
    some = vectors[:: max(1, len(vectors) // _MIDDLE_ROWS)].astype(np.float64)
    middle = np.median(some, axis=0)
    parts = (vectors[begin : begin + _MIDDLE_ROWS] - middle for begin in range(0, len(vectors), _MIDDLE_ROWS))
    distances = np.concatenate([np.linalg.norm(part, axis=1) for part in parts])
    is_near: NDArray[np.bool_] = distances <= _FAR * np.median(distances)
    return is_near


def scan(
    query: CodeQuery, records: Records, k: int, mask: NDArray[np.bool_] | None = None, threads: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """The ``k`` records nearest by estimate.

    :param records: uint8 [n, record_bytes], C-contiguous, made by the codec of the query. Not to be changed meanwhile.
    :param k: at least 1.
    :param mask: bool [n]; records where it is False are neither read nor returned. None: all.
    :param threads: at most so many; 0: as many as the process may use. Small scans use one.
    :return: ``(ids int64 [k'], estimates float32 [k'], lower bounds float32 [k'])`` with k' the smaller of ``k`` and
        the records that count; estimates ascend, and equal ones go by id.
    :raises ValueError: shapes or ``k`` make no sense.
    """
    return query.native.nearest(records, k, mask, threads)


def scan_candidates(
    query: CodeQuery, records: Records, k: int, mask: NDArray[np.bool_] | None = None, threads: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """All records whose lower bound does not exceed the k-th smallest upper bound: what is worth re-ranking.

    As far as the bounds hold, the ``k`` nearest by true distance are among them. Parameters and what is returned are
    those of `scan`, with k' the number of such records, at least what `scan` returns and at most all that count.
    """
    return query.native.candidates(records, k, mask, threads)


def reduce_codes(records: Records, bits: int, reduced_bits: int) -> Records:
    """Records of ``reduced_bits`` bits a dimension, uint8 [n, fewer bytes], from those of a `Quantizer` of ``bits``.

    They are to be compared with queries of a Quantizer that differs in its bits only. A little worse than codes made
    from the vectors, they take no more than the codes to make.

    :raises ValueError: the reduced bits are not fewer, or records of so many bytes do not exist.
    """
    return _native.reduce_codes(records, bits, reduced_bits)


def code_levels() -> list[str]:
    """The SIMD levels of this machine for codes, best first; the last is ``"portable"``."""
    return _native.code_levels()
