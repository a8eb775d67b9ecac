"""Damaged segments: told with the place, never answered from."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lutra.kernels.blocks import BlockCache
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import Corruption, RequestTimeout, StorageFailure
from lutra.model.indexes import Metric
from lutra.objects.local import LocalStore
from lutra.objects.ranges import Range
from lutra.segments.segment_object import SegmentObject
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.segment import Segment
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION = 3_000, 40


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("segment") / "intact"
    write_segment(path, vectors, Metric.EUCLIDEAN, plan=BuildPlan(SegmentKind.GRAPH, 4, beam=48)).close()
    return path


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


BUDGETS = [None, ROWS * 40 + 300_000, 1_000]


@pytest.mark.parametrize("budget", BUDGETS, ids=["resident", "codes", "paged"])
def test_a_flipped_bit_in_a_vector_is_told_with_its_place(
    tmp_path: Path, intact: Path, vectors: np.ndarray, budget: int | None
) -> None:
    path = tmp_path / "damaged"
    shutil.copy(intact, path)
    with SegmentFile.open(path) as file:
        block, offset = file.node_block(700)
        flip(path, block * file.layout(SectionName.NODES).block_bytes + offset + 9)
    with Segment.open(path, memory_budget_bytes=budget) as segment:
        for _ in range(2):
            with pytest.raises(Corruption, match=rf"{path}.*block {block} "):
                segment.search(vectors[700:701], 5)
        with pytest.raises(Corruption, match=f"block {block} "):
            segment.search(vectors[690:710], 5, threads=3)


def test_a_search_whose_time_is_up_ends(intact: Path, vectors: np.ndarray) -> None:
    with Segment.open(intact) as segment:
        with working_for(Deadline(1, time.monotonic() - 5)), pytest.raises(RequestTimeout):
            segment.search(vectors[:1], 5)
        with working_for(Deadline(600)):
            assert segment.search(vectors[:1], 5).ids[0, 0] == 0


class NotHere(LocalStore):
    """A store that is said to be remote; it counts what is read of it, and calls back before each."""

    reads = 0
    before_read: Callable[[], object] = staticmethod(lambda: None)

    def local_path(self, name: str) -> None:
        return None

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        self.reads += 1
        self.before_read()
        return super().read_many(name, ranges)


def test_a_search_that_is_given_up_ends_at_the_next_round(tmp_path: Path, intact: Path, vectors: np.ndarray) -> None:
    """A walk on disk, in one native call: nothing is read after the round that was under way."""
    shutil.copy(intact, tmp_path / "segment")

    def reads_until_given_up(after: int) -> int:
        """How many rounds of reads there are, where the search is given up in that one."""
        store, cache, deadline = NotHere(tmp_path), BlockCache(4 << 20), Deadline(600)
        file = SegmentFile.open(SegmentObject(store, "segment", cache))
        with Segment.open(file, memory_budget_bytes=1_000, cache=cache) as segment, working_for(deadline):
            first = store.reads

            def give_up() -> None:
                if store.reads == first + after:
                    deadline.give_up()

            store.before_read = give_up  # type: ignore[method-assign]
            with pytest.raises(RequestTimeout, match="was given up") if after else contextlib.nullcontext():
                segment.search(vectors[:1], 5, threads=1)
            reads = store.reads - first
        cache.close()
        return reads

    whole = reads_until_given_up(0)
    assert whole > 2
    assert [reads_until_given_up(after) for after in range(1, whole)] == [*range(1, whole)]


def test_other_answers_are_still_given(tmp_path: Path, intact: Path, vectors: np.ndarray) -> None:
    """A fault in one page is no reason to refuse what does not need it."""
    path = tmp_path / "damaged"
    shutil.copy(intact, path)
    with SegmentFile.open(path) as file:
        block, offset = file.node_block(700)
        first = block * file.layout(SectionName.NODES).items_per_block
        flip(path, block * file.layout(SectionName.NODES).block_bytes + offset)
        inside = range(first, first + file.layout(SectionName.NODES).items_per_block)
    mask = np.ones(ROWS, bool)
    mask[inside] = False
    with Segment.open(path) as segment:
        assert segment.search(vectors[:1], 5, mask=mask).ids[0, 0] == 0


@pytest.mark.parametrize("name", [SectionName.CODES, SectionName.GRAPH])
def test_damaged_codes_or_graph_are_told_on_opening(tmp_path: Path, intact: Path, name: SectionName) -> None:
    path = tmp_path / "damaged"
    shutil.copy(intact, path)
    with SegmentFile.open(path) as file:
        flip(path, file.sections[name].offset + 100)
    with pytest.raises(Corruption, match=f"section '{name}'"):
        Segment.open(path)


def test_a_file_cut_short_while_open_is_told(tmp_path: Path, intact: Path, vectors: np.ndarray) -> None:
    path = tmp_path / "short"
    shutil.copy(intact, path)
    with Segment.open(path) as segment:
        with path.open("r+b") as file:
            file.truncate(4096)
        with pytest.raises(StorageFailure, match="ends at byte"):
            segment.search(vectors[-1:], 5)
