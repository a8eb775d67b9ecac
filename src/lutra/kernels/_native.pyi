"""What the native extension offers (native/*.cpp); `lutra.kernels` is its face."""

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lutra.model.rows import Cell, CellChange, KeyInput
from lutra.model.values import KeyMarker, Value

# One more than `Cell` and `KeyInput` on purpose: what is encoded may lack a timestamp, and a list serves as a tuple.
_Key = Sequence[tuple[str, int | str | bytes | KeyMarker]]
_Cells = Sequence[tuple[str, Value, int | None]]

def like(strings: list[bytes], count: int, pattern: bytes) -> NDArray[np.bool_]:
    """See `lutra.kernels.wildcard`."""

def ends_with(strings: list[bytes], count: int, suffix: bytes) -> NDArray[np.bool_]:
    """See `lutra.kernels.wildcard`."""

def double_sums(
    values: NDArray[np.float64], groups: NDArray[np.int32] | None, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """See `lutra.kernels.aggregate`, as for what follows."""

def long_sums(
    values: NDArray[np.int64], groups: NDArray[np.int32] | None, count: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]: ...
@overload
def extremes(
    values: NDArray[np.float64], groups: NDArray[np.int32] | None, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def extremes(
    values: NDArray[np.int64], groups: NDArray[np.int32] | None, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def group_counts(groups: NDArray[np.int32], count: int) -> NDArray[np.int64]: ...
def number_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def begin_child() -> None:
    """See `lutra.kernels.forks`."""

def decode_row(data: bytes) -> tuple[KeyInput, list[CellChange], bool]:
    """The one row in ``data``: its key, its cells, and whether it carries the delete marker.

    Raises ParameterInvalid.
    """

def decode_rows(data: bytes) -> list[tuple[KeyInput, list[CellChange], bool]]:
    """All rows in ``data``, as `decode_row` gives them, with no bound on columns; none where ``data`` is empty."""

def decode_cells(data: bytes) -> list[Cell]:
    """The cells `encode_cells` wrote. Raises Corruption where it did not write ``data``."""

def decode_variant(data: bytes) -> Value | KeyMarker | None:
    """The value in ``data``: type byte and payload, no length before it, nothing after. Raises ParameterInvalid."""

def encode_row(key: _Key, cells: _Cells) -> bytes:
    """A row: header, ROW_PK (absent where ``key`` is empty), ROW_DATA (absent without cells), checksums.

    A cell is ``(name, value, timestamp in ms or None)``; None leaves the timestamp out.
    """

def encode_rows(rows: Sequence[tuple[_Key, _Cells]]) -> bytes:
    """Rows back to back after one header; no bytes at all for no rows."""

def encode_row_matrix(
    key_names: Sequence[str], column_names: Sequence[str], rows: Sequence[tuple[_Key, _Cells]]
) -> bytes:
    """Rows as a SimpleRowMatrix (``native/plainbuffer/row_matrix.h``): every row has every column, or null.

    Of a cell's versions it takes the first, and no timestamps. Raises ValueError where a row has a column beside those
    named, ParameterInvalid where the rows come to 2 GiB.
    """

def encode_key(key: _Key) -> bytes:
    """A row of key columns alone."""

def encode_change(key: _Key, changes: Sequence[CellChange], is_delete: bool) -> bytes:
    """A row as a client sends it: cells may lack value and timestamp and carry an operation."""

def encode_cells(cells: _Cells) -> bytes:
    """The stored form of a row's cells: a row without key. Every cell needs its timestamp to be read back."""

def encode_variant(value: Value | KeyMarker) -> bytes:
    """One value: type byte and payload."""

def measure_row(key: _Key, cells: Sequence[Cell] | Sequence[CellChange], timestamp_bytes: int) -> int:
    """The bytes of all names and values as the protocol counts them, and ``timestamp_bytes`` of each timestamp.

    A str counts as its UTF-8, an INTEGER, a DOUBLE and AUTO_INCREMENT 8 bytes, a BOOLEAN 1. Raises ParameterInvalid
    for a lone surrogate.
    """

def topk(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    metric: int,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    level: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """See `lutra.kernels.distance.topk`."""

def first_not_finite(vectors: NDArray[np.float32]) -> int:
    """The first row of float32 [n, d] ``vectors`` with a NaN or an infinity; -1 where there is none."""

def simd_levels() -> list[str]:
    """See `lutra.kernels.distance.simd_levels`."""

def read_vectors(values: list[str | bytes], dimension: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """See `lutra.vectors.values.read_vectors`."""

def crc32c_blocks(data: NDArray[np.uint8], block_bytes: int, covered_bytes: int) -> NDArray[np.uint32]:
    """See `lutra.kernels.checksum.crc32c_blocks`."""

def log_frames(
    data: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], int, int]:
    """See `lutra.kernels.log_frames.log_frames`."""

class BlockCache:
    """See `lutra.kernels.blocks.BlockCache`. All arguments are given there; ``kind`` is a BlockKind's number."""

    def __init__(self, budget_bytes: int, shards: int = 0) -> None: ...
    def open_file(
        self,
        path: str,
        offset: int,
        length: int | None,
        block_bytes: int,
        owner: str,
        kind: int,
        checksums: bool,
        engine: str,
        direct: bool,
        queue_depth: int,
    ) -> BlockSource: ...
    def open_remote(
        self,
        fetch: Callable[[list[tuple[int, int]]], Sequence[bytes]],
        size_bytes: int,
        name: str,
        block_bytes: int,
        owner: str,
        kind: int,
        checksums: bool,
    ) -> BlockSource: ...
    def counters(self) -> dict[str, Any]:
        """Sizes by name, and ``owners``: a list of (owner, kind, counters by name)."""

    def resize(self, budget_bytes: int) -> None: ...
    def close(self) -> None: ...

class BlockSource:
    """See `lutra.kernels.blocks.BlockSource`."""

    def section(
        self, offset: int, length: int, block_bytes: int, owner: str, kind: int, checksums: bool
    ) -> BlockSource: ...
    def read(self, numbers: Sequence[int], bypass: bool) -> list[bytes]: ...
    def read_range(self, offset: int, length: int, bypass: bool) -> bytes: ...
    def read_payloads(self, ranges: Sequence[tuple[int, int]], bypass: bool) -> list[bytes]: ...
    def prefetch(self, numbers: Sequence[int]) -> None: ...
    def close(self) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def block_count(self) -> int: ...
    @property
    def reads_by(self) -> str: ...

class _CodeQuery:
    """See `lutra.kernels.codes.Query`, `scan` and `scan_candidates`."""

    def estimate(self, records: NDArray[np.uint8]) -> NDArray[np.float32]: ...
    def bounds(self, records: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def nearest(
        self, records: NDArray[np.uint8], k: int, mask: NDArray[np.bool_] | None, threads: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]: ...
    def candidates(
        self, records: NDArray[np.uint8], k: int, mask: NDArray[np.bool_] | None, threads: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]: ...

class QueryCode(_CodeQuery): ...
class ProductQuery(_CodeQuery): ...

class Quantizer:
    """See `lutra.kernels.codes.Quantizer`."""

    record_bytes: int
    coded_dimension: int
    @overload
    def __init__(
        self, dimension: int, bits: int, metric: int, centroid: NDArray[np.float32] | None, seed: int, level: str | None
    ) -> None: ...
    @overload
    def __init__(
        self,
        directions: NDArray[np.int16],
        parts: Sequence[tuple[int, int, float]],
        spread: float,
        metric: int,
        centroid: NDArray[np.float32],
        seed: int,
        level: str | None,
    ) -> None: ...
    @overload
    def __init__(self, bits: int, metric: int, centres: NDArray[np.float32], seed: int, level: str | None) -> None: ...
    def encode(self, vectors: NDArray[np.float32], threads: int) -> NDArray[np.uint8]: ...
    def encode_described(
        self, vectors: NDArray[np.float32], threads: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
    def query(self, vector: NDArray[np.float32], bound_sigmas: float) -> QueryCode: ...

class ProductQuantizer:
    """See `lutra.kernels.codes.ProductQuantizer`."""

    record_bytes: int
    def __init__(
        self, vectors: NDArray[np.float32], groups: int, metric: int, seed: int, threads: int, level: str | None
    ) -> None: ...
    def encode(self, vectors: NDArray[np.float32], threads: int) -> NDArray[np.uint8]: ...
    def query(self, vector: NDArray[np.float32]) -> ProductQuery: ...

def reduce_codes(records: NDArray[np.uint8], bits: int, reduced_bits: int) -> NDArray[np.uint8]:
    """See `lutra.kernels.codes.reduce_codes`."""

def code_levels() -> list[str]:
    """See `lutra.kernels.codes.code_levels`."""

NO_ROW: int

def build_graph(
    vectors: NDArray[np.float32],
    metric: int,
    degree: int,
    beam: int,
    alpha: float,
    threads: int,
    seed: int,
    start: NDArray[np.uint32] | None,
    on_progress: Callable[[int, int], object] | None,
    precision: str,
    level: str | None,
    directions: NDArray[np.int16] | None,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], tuple[int, int, int, str]]:
    """See `lutra.kernels.graph.build`: neighbours, entries, (distances, repaired, peak_bytes, precision)."""

class Walker:
    """See `lutra.kernels.graph.Walker`."""

    def __init__(
        self,
        neighbours: NDArray[np.uint32],
        entries: NDArray[np.uint32],
        records: NDArray[np.uint8],
        quantizer: Quantizer,
    ) -> None: ...
    def walk(
        self,
        queries: NDArray[np.float32],
        beam: int,
        count: int,
        least: int,
        mask: NDArray[np.bool_] | None,
        effort_max: int,
        threads: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]: ...

class RowMask:
    """See `lutra.kernels.row_mask`."""

    def __init__(self, counts: NDArray[np.bool_]) -> None: ...
    @staticmethod
    def all(rows: int) -> RowMask: ...
    @staticmethod
    def none(rows: int) -> RowMask: ...
    @staticmethod
    def of_bits(bits: NDArray[np.uint8], rows: int) -> RowMask: ...
    @staticmethod
    def of_rows(ids: NDArray[Any], rows: int) -> RowMask: ...
    @staticmethod
    def at_least(needed: int, masks: Sequence[RowMask], rows: int) -> RowMask: ...
    @property
    def rows(self) -> int: ...
    @property
    def count(self) -> int: ...
    def __and__(self, other: RowMask) -> RowMask: ...
    def __or__(self, other: RowMask) -> RowMask: ...
    def __sub__(self, other: RowMask) -> RowMask: ...
    def __eq__(self, other: object) -> bool: ...
    def plus(self, ids: NDArray[Any]) -> RowMask: ...
    def minus(self, ids: NDArray[Any]) -> RowMask: ...
    def extended(self, more: int) -> RowMask: ...
    def turned(self, ids: NDArray[Any]) -> RowMask: ...
    def gathered(self, ids: NDArray[Any], rows: int) -> RowMask: ...
    def ids(self) -> NDArray[np.int64]: ...
    def first(self, most: int, descending: bool = False) -> NDArray[np.int64]: ...
    def sample(self, most: int) -> NDArray[np.int64]: ...
    def has(self, ids: NDArray[Any]) -> NDArray[np.bool_]: ...
    def bools(self) -> NDArray[np.bool_]: ...

def build_lists(
    vectors: NDArray[np.float32],
    quantizer: Quantizer,
    rows_per_list: int,
    threads: int,
    on_progress: Callable[[int, int], object] | None,
) -> tuple[
    NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int8], NDArray[np.float32], NDArray[np.float32], float, int
]: ...

class Lists:
    """See `lutra.kernels.lists.Lists`."""

    def __init__(
        self,
        quantizer: Quantizer,
        offsets: NDArray[np.uint32],
        centroids: NDArray[np.int8],
        step: float,
        radii: NDArray[np.float32],
        spreads: NDArray[np.float32],
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    def covered(self, queries: NDArray[np.float32], rows: NDArray[np.int64], threads: int) -> NDArray[np.int64]: ...
    def reached(
        self,
        queries: NDArray[np.float32],
        rows: NDArray[np.int64],
        distances: NDArray[np.float32],
        reaches: NDArray[np.float32],
        threads: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
    def residuals(self, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]: ...
    @property
    def longest(self) -> float: ...
    def ranked(self, query: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...

class LinkCodes:
    """See `lutra.kernels.link_codes.LinkCodes`."""

    def __init__(self, metric: int, centroid: NDArray[np.float32], seed: int, level: str | None) -> None: ...
    def block_bytes(self, degree: int) -> int: ...
    def make(self, neighbours: NDArray[np.uint32], blocks: NDArray[np.uint8], threads: int) -> bool: ...
    def estimate(
        self, query: NDArray[np.float32], block: NDArray[np.uint8], degree: int, distance: float, limit: float
    ) -> NDArray[np.float32]: ...

class FastCodes:
    """See `lutra.kernels.fast_codes.FastCodes`."""

    def __init__(
        self,
        lists: Lists,
        directions: NDArray[np.float32],
        centres: NDArray[np.float32],
        row_step: float,
        squared_error: float,
        level: str | None,
    ) -> None: ...
    def encode(self, vectors: NDArray[np.float32], begin: int, threads: int) -> NDArray[np.uint8]: ...
    def estimate(self, query: NDArray[np.float32], blocks: NDArray[np.uint8]) -> NDArray[np.float32]: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...

class Searcher:
    """See `lutra.kernels.searcher.Searcher`."""

    def __init__(
        self,
        nodes: BlockSource,
        through_cache: bool,
        rows: int,
        dimension: int,
        degree: int,
        metric: int,
        quantizer: Quantizer | None,
        records: NDArray[np.uint8] | None,
        neighbours: NDArray[np.uint32] | None,
        entries: NDArray[np.uint32],
        fine_quantizer: Quantizer | None,
        fine_records: NDArray[np.uint8] | None,
        apart: NDArray[np.uint32],
        exact_rows: NDArray[np.uint32],
        exact_vectors: NDArray[np.float32],
        lists: Lists | None,
        links: LinkCodes | None,
        link_blocks: NDArray[np.uint8] | None,
        fast: FastCodes | None,
        fast_blocks: NDArray[np.uint8] | None,
    ) -> None: ...
    def come_by(
        self, query: NDArray[np.float32], beam: int, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], int]: ...
    def meet(
        self, vectors: NDArray[np.float32], rows: NDArray[np.uint32], beam: int, threads: int
    ) -> NDArray[np.uint8]: ...
    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        strategy: int,
        beam: int,
        candidates: int,
        first: int,
        bound_sigmas: float,
        effort_max: int,
        deepens: bool,
        scans_when_away: bool,
        within: float,
        measured_within: float,
        covers: int,
        reach: float,
        slack: float,
        measured_beyond: float,
        contrast_min: float,
        wider_beam: int,
        mask: RowMask | None,
        left_out: NDArray[np.uint32] | None,
        threads: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]: ...
    @property
    def scratch_bytes(self) -> int: ...

def keep_scratch(bytes: int) -> None: ...
def search_segments(
    shares: Sequence[tuple[object, ...]],
    queries: NDArray[np.float32],
    top_k: int,
    known: Sequence[NDArray[np.float32]],
    threads: int,
    in_part: bool,
) -> list[list[tuple[NDArray[np.int64], NDArray[np.float32], list[int], float, float, bool]]]: ...

TEXT_FORMAT: int
TEXT_TOKENS_MAX: int
TEXT_TERM_BYTES_MAX: int

class TextPart:
    """See `lutra.kernels.text` and `lutra.text.part.TextPart`."""

    @staticmethod
    def open(blocks: BlockSource, name: str, format: int, size: int, layout: Sequence[int]) -> TextPart: ...
    @property
    def size(self) -> int: ...
    @property
    def state_bytes(self) -> int: ...
    def exists(self) -> RowMask: ...
    def statistics(self, terms: Sequence[str], left_out: RowMask | None) -> tuple[NDArray[np.int64], int, int]: ...
    def matches(self, terms: Sequence[str], needed: int) -> RowMask: ...
    def phrase(self, terms: Sequence[str], positions: Sequence[int], slop: int) -> RowMask: ...
    def like(self, kind: int, pattern: str) -> RowMask: ...
    def terms_like(self, kind: int, pattern: str, most: int) -> list[str]: ...
    def scores(
        self, terms: Sequence[str], weights: NDArray[np.float64], average_length: float, docs: NDArray[np.int64]
    ) -> NDArray[np.float64]: ...
    def phrase_scores(
        self,
        terms: Sequence[str],
        positions: Sequence[int],
        slop: int,
        weight: float,
        average_length: float,
        docs: NDArray[np.int64],
    ) -> NDArray[np.float64]: ...
    def digests(self, salt: int) -> NDArray[np.uint64]: ...
    def faults(self) -> list[str]: ...

def text_best(
    parts: Sequence[TextPart],
    masks: Sequence[RowMask | None],
    terms: Sequence[str],
    weights: NDArray[np.float64],
    average_length: float,
    needed: int,
    k: int,
    in_part: bool,
) -> list[tuple[NDArray[np.int64], NDArray[np.float64], bool]]:
    """See `lutra.text.part.best`."""

class TextBuffer:
    """See `lutra.kernels.text`."""

    def stage(self, doc: int, terms: list[str], positions: list[int]) -> bool: ...
    def publish(self) -> None: ...
    @property
    def held_bytes(self) -> int: ...
    def part(self, size: int) -> TextPart: ...
    def compacted(self, renumber: NDArray[np.int32]) -> TextBuffer: ...

class TextWriter:
    """See `lutra.kernels.text`."""

    def __init__(self, parts: Sequence[TextPart], renumber: Sequence[NDArray[np.int32]], size: int) -> None: ...
    def next(self) -> bytes: ...
    @property
    def layout(self) -> list[int]: ...

GEO_EARTH_RADIUS_M: float

class GeoShape:
    """See `lutra.kernels.geo`."""

    @staticmethod
    def circle(lat: float, lon: float, radius_m: float) -> GeoShape: ...
    @staticmethod
    def rectangle(top: float, left: float, bottom: float, right: float) -> GeoShape: ...
    @staticmethod
    def polygon(points: NDArray[np.float64]) -> GeoShape: ...
    def relations(self, boxes: NDArray[np.float64]) -> NDArray[np.uint8]: ...
    def select(self, points: NDArray[np.float64], docs: NDArray[np.int32] | None, size: int) -> RowMask: ...

def geo_ring_fault(points: NDArray[np.float64]) -> int:
    """See `lutra.kernels.geo`."""

def geo_distances(
    points: NDArray[np.float64], origins: NDArray[np.float64], type: int, mode: int
) -> NDArray[np.float64]:
    """See `lutra.kernels.geo`."""

def geo_places_on_curve(points: NDArray[np.float64]) -> NDArray[np.uint64]:
    """See `lutra.kernels.geo`."""

def geo_cells(points: NDArray[np.float64], lat_bits: int, lon_bits: int) -> NDArray[np.int64]:
    """See `lutra.kernels.geo`."""

def geo_read_point(text: str) -> tuple[float, float] | None:
    """See `lutra.kernels.geo`."""
