"""What of a segment is kept in memory under a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import Quantizer, reduce_codes
from lutra.model.errors import Corruption
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.links import can_have_links, link_bytes
from lutra.vectors.range_reader import huge_pages
from lutra.vectors.segment_file import SegmentFile

CACHE_BYTES_MIN: Final = 256 * 1024
"""Of a segment's own cache; reads need somewhere to land."""
CACHE_BLOCKS_MIN: Final = 8
"""What a cache needs at least (`lutra.kernels.blocks.BlockCache`)."""


FAST_ONLY: Final = "fast"
"""The name of what has no other codes in memory."""


@dataclass(frozen=True, slots=True)
class Residency:
    """Which codes are in memory (None: none), the graph or not, and the finer codes or not."""

    codes: CodeFormat | None
    graph: bool
    fine: bool = False
    links: bool = False
    """And beside codes and graph the vectors, with the codes of their neighbours (`lutra.vectors.links`)."""
    fast: bool = False
    """And the fast codes (`lutra.vectors.fast_format`), with or without others."""
    is_coming: bool = False
    """Codes are read list by list as searches need them (`lutra.vectors.coming_codes`); there is nothing else then."""

    @property
    def name(self) -> str:
        """Of what the codes are, for what is measured with them."""
        if self.codes is None:
            return FAST_ONLY if self.fast else "none"
        return "fine" if self.fine else str(self.codes.bits or "basis")


def choose_residency(file: SegmentFile, budget_bytes: int | None, *, has_cache: bool = False) -> Residency:
    """The best a budget holds: links; else codes as good as fit beside the graph; else codes alone; else nothing.

    Where fast codes tell which few rows are worth a look, codes with these go before codes with the graph, which takes
    more memory and is walked no faster; and where no others fit they do, with more reads.

    With both in memory a query reads what its re-rank needs, more of it by shorter codes; with codes alone all of them
    are looked at, or a node is read a hop; with neither, one for every distance. ``has_cache``: nodes are read through
    one that is not of this budget. Without a budget links are not made: they take as much as all else, several times.
    """
    if file.codes is None:
        return Residency(None, False)
    has_graph = file.kind is SegmentKind.GRAPH
    if budget_bytes is not None and can_have_links(file):
        linked = Residency(file.codes, True, links=True, fast=goes_fast(file))
        if _bytes(file, linked, has_cache) <= budget_bytes:
            return linked
    for residency in _by_preference(file, has_graph):
        if budget_bytes is None or _bytes(file, residency, has_cache) <= budget_bytes:
            return residency
    return Residency(None, False)


def _by_preference(file: SegmentFile, has_graph: bool) -> Iterator[Residency]:
    """From the best to the smallest."""
    if goes_fast(file):
        yield replace(code_residencies(file, has_graph)[0], fast=True)
        yield from (replace(one, fast=True) for one in code_residencies(file, False) if one.codes == file.codes)
    for graph in (True, False) if has_graph else (False,):
        yield from code_residencies(file, graph)
    if file.fast is not None and FAST_ONLY in file.calibration:
        yield Residency(None, False, fast=True)


def goes_fast(file: SegmentFile) -> bool:
    """Whether there are fast codes that the build found to tell most rows off."""
    measured = (of.get("lists") for of in file.calibration.values() if isinstance(of, Mapping))
    return file.fast is not None and any(isinstance(lists, Mapping) and lists.get("slack") for lists in measured)


def least_bytes(file: SegmentFile) -> int:
    """What the shortest codes take, without a graph: with less a search reads vectors to tell rows apart."""
    least = code_residencies(file, False)[-1:]
    return bytes_beside_cache(file, least[0]) if least else 0


def code_residencies(file: SegmentFile, graph: bool) -> list[Residency]:
    """Those with codes in memory, from the best to the smallest."""
    if file.codes is None:
        return []
    fine = [Residency(file.codes, graph, True)] if file.fine is not None else []
    return fine + [Residency(codes, graph) for codes in file.codes.widths()]


def formats_in_memory(file: SegmentFile, residency: Residency) -> list[CodeFormat]:
    """Of the codes, and of the finer ones."""
    both = (residency.codes, file.fine if residency.fine else None)
    return [codes for codes in both if codes is not None]


def _bytes(file: SegmentFile, residency: Residency, has_cache: bool) -> int:
    """What it takes, a cache for the nodes of a walk on disk included where there is none."""
    total = bytes_beside_cache(file, residency)
    if file.kind is SegmentKind.GRAPH and not (residency.graph or has_cache):
        total += cache_bytes_min(file)
    return total


def bytes_beside_cache(file: SegmentFile, residency: Residency) -> int:
    """What codes, lists, graph, the rows that are kept exact and links take in memory."""
    formats = formats_in_memory(file, residency)
    total = sum(file.rows * codes.record_bytes + codes.shared_bytes for codes in formats)
    total += list_bytes(file) if residency.codes or residency.fast else 0
    total += fast_bytes(file) if residency.fast else 0
    total += exact_bytes(file) + (4 * file.rows * file.degree if residency.graph else 0)
    return total + (link_bytes(file) if residency.links else 0)


def exact_bytes(file: SegmentFile) -> int:
    """Of the rows that are kept exact."""
    return file.exact * 4 * (1 + file.dimension)


def list_bytes(file: SegmentFile) -> int:
    """Of the lists, which are in memory where codes are."""
    if file.lists is None:
        return 0
    layout = file.layout(SectionName.LISTS)
    return file.lists.count * (layout.item_bytes + 4)


def fast_bytes(file: SegmentFile) -> int:
    """Of the fast codes, and of what they are made with."""
    if file.fast is None:
        return 0
    book = file.layout(SectionName.FAST_BOOK)
    return file.fast.blocks(file.rows) * file.fast.block_bytes + 2 * file.fast.groups * book.item_bytes


def cache_bytes_min(file: SegmentFile) -> int:
    """What reading nodes through a cache takes at least."""
    return max(CACHE_BYTES_MIN, CACHE_BLOCKS_MIN * file.layout(SectionName.NODES).block_bytes)


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes in memory: uint8 [rows, record bytes], and what made them."""

    quantizer: Quantizer
    records: NDArray[np.uint8]


def quantizer_of(file: SegmentFile) -> Quantizer | None:
    """That of the codes, which need not be in memory; None where there are none. Raises Corruption."""
    if file.codes is None:
        return None
    try:
        return file.codes.quantizer(file.metric, file.centroid, file.seed, file.load_basis(), file.load_centres())
    except ValueError as error:
        raise _senseless(file, error) from error


def _senseless(file: SegmentFile, error: ValueError) -> Corruption:
    section = SectionName.CENTRES if SectionName.CENTRES in file.sections else SectionName.BASIS
    return Corruption(f"{file.name}: section '{section}' makes no sense: {error}.")


def load_codes(
    file: SegmentFile, residency: Residency, sweepers: Executor | None = None
) -> tuple[Codes | None, Codes | None]:
    """The codes, shorter than on disk where that is wanted, and the finer ones.

    No more than a few MB, and basis or centres, beside what is returned. Raises Corruption where these make no sense.
    """
    if residency.codes is None or file.codes is None:
        return None, None
    basis, centres = file.load_basis(), file.load_centres()
    try:
        quantizer, *finer = (
            codes.quantizer(file.metric, file.centroid, file.seed, basis, centres)
            for codes in formats_in_memory(file, residency)
        )
    except ValueError as error:
        raise _senseless(file, error) from error
    if residency.is_coming:
        size = quantizer.record_bytes
        codes = Codes(quantizer, huge_pages(file.rows * size).reshape(file.rows, size))
    elif residency.codes == file.codes:
        codes = Codes(quantizer, file.load_codes(sweepers))
    else:
        codes = Codes(quantizer, _reduced(file, file.codes, residency.codes))
    return codes, Codes(finer[0], file.load_fine(sweepers)) if finer else None


def _reduced(file: SegmentFile, codes: CodeFormat, reduced: CodeFormat) -> NDArray[np.uint8]:
    records = huge_pages(file.rows * reduced.record_bytes).reshape(file.rows, reduced.record_bytes)
    begin = 0
    for block in file.code_blocks():
        records[begin : begin + len(block)] = reduce_codes(block, codes.bits, reduced.bits)
        begin += len(block)
    return records
