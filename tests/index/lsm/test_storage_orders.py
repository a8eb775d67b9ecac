"""Writers of one index's objects in every order that their operations can come in, with faults: to the end.

A writer that is opened over another's is a successor; the other, stalled or dead at any operation, the old owner; each
collects what nobody needs, while the other goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from support.simulation import index_programs
from support.simulation.explorer import Explored, Explorer
from support.simulation.index_programs import INDEX_INVARIANTS, PREFIX, MakeStorage, Round, index_writer
from support.simulation.operations import DELETE, PUT, PUT_IF_ABSENT
from support.simulation.played import Played
from support.simulation.processes import Context, Program
from support.simulation.world import Violation

from lutra.index.lsm.manifest import Manifest
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import Fenced, StorageFailure

Opened = TypeVar("Opened")
FLUSH: Round = "flush"
MERGE: Round = "merge"


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """More tries are more of the same."""
    monkeypatch.setattr("lutra.index.lsm.storage._OPENING_TRIES", 2)
    monkeypatch.setattr(index_programs, "TRIES", 2)


def writers(*rounds: Sequence[Round], make_storage: MakeStorage | None = None) -> list[Program]:
    given = {} if make_storage is None else {"make_storage": make_storage}
    return [index_writer(name, of, **given) for name, of in zip("abc", rounds, strict=False)]


def explored(programs: Sequence[Program], *, faults: int = 0) -> Explored:
    return Explorer(programs, INDEX_INVARIANTS, faults=faults).run()


def test_an_owner_and_its_successor_that_merge_and_collect_in_every_order() -> None:
    found = explored(writers([FLUSH, MERGE, MERGE], [FLUSH, MERGE]))
    assert found.schedules > 10**6
    assert found.states > 10_000


def test_an_owner_and_its_successor_with_a_fault_at_every_operation() -> None:
    found = explored(writers([FLUSH], []), faults=1)
    assert found.schedules > 10**6


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("rounds", "faults"),
    [
        (([FLUSH], [MERGE]), 1),
        (([FLUSH, MERGE], [MERGE, FLUSH]), 1),
        (([FLUSH, MERGE, MERGE, MERGE], [MERGE, MERGE, MERGE]), 0),
        (([FLUSH], [MERGE], []), 0),
        (([FLUSH], []), 2),
    ],
)
def test_more_of_both(rounds: Sequence[Sequence[Round]], faults: int) -> None:
    """Among them a third, that opens the index while its owner is replaced."""
    found = explored(writers(*rounds), faults=faults)
    print(f"{rounds}, {faults} faults: {found}")
    assert found.schedules > 10**7


# --- cases that have a name -------------------------------------------------------------------------------------------


def segments(played: Played) -> list[str]:
    return [name.rpartition("/")[2].lstrip("0") for name in sorted(played.objects) if "/segments/" in name]


def test_a_stalled_writer_that_comes_back_after_collection_commits_nothing() -> None:
    played = Played(writers([FLUSH, FLUSH], [MERGE, MERGE, MERGE]), INDEX_INVARIANTS)
    played.until("a", PUT_IF_ABSENT, "3")
    played.finish("b")
    assert "indexes/1-i-2/manifest/00000000000000000003" not in played.objects, "it was collected"
    played.finish("a")
    assert [note[0] for note in played.notes("a")] == ["opened", "committed"]
    assert len(played.notes("b")) == 4


def test_what_an_old_owner_puts_after_its_successor_came_is_left_to_the_next() -> None:
    played = Played(writers([FLUSH], [FLUSH], []), INDEX_INVARIANTS)
    played.until("a", PUT, "a02")
    played.finish("b")
    played.finish("a")
    assert segments(played) == ["a02", "b02"]
    played.finish("c")
    assert segments(played) == ["a02", "b02"], "it opens, and is gone before it collects"


def test_an_old_owner_that_stalls_in_a_deletion_deletes_nothing_that_is_needed() -> None:
    played = Played(writers([FLUSH, MERGE, MERGE], [FLUSH]), INDEX_INVARIANTS)
    played.until("a", DELETE, "a02")
    played.finish("b")
    played.finish("a")
    assert "a02" not in segments(played)


def test_the_manifest_before_the_newest_keeps_its_objects_where_a_commit_took_two_tries() -> None:
    """A reader may have read it a moment ago; one that was lost is not one more manifest."""
    played = Played(writers([FLUSH, MERGE]), INDEX_INVARIANTS)
    played.until("a", PUT_IF_ABSENT, "3")
    played.step("a")
    played.lose_answer("a")  # of the list after the put
    played.finish("a")
    assert segments(played) == ["a02", "a03"]


# --- the explorer bites -----------------------------------------------------------------------------------------------


class KeepsTheNewestOnly(IndexStorage):
    """What the manifest before the newest names goes at once."""

    def _commit(self, manifest: Manifest) -> None:
        super()._commit(manifest)
        self._garbage |= self._named[0] - self._named[1]
        self._named[0] = set()


class TakesEachTryForAManifest(IndexStorage):
    """As it was once: after two tries to commit, the manifest before is no more among the last two."""

    def _commit(self, manifest: Manifest) -> None:
        self._named.append(manifest.names)
        last = self._number
        self._number = self._log.commit(last + 1, manifest.to_json())
        self._old_numbers.update(range(max(1, last - 1), self._number - 1))
        before: set[str] = set().union(*self._named[:-2])
        self._named = self._named[-2:]
        self._garbage |= before - set().union(*self._named)


class CollectsBeforeItIsTheWriter(IndexStorage):
    """What the newest manifest does not name goes before there is one of this writer's own."""

    def take_over(self, first: Manifest, opened_of: Callable[[Manifest], Opened]) -> tuple[Manifest, Opened]:
        names = self.store.list(self.prefix)
        newest = self.newest()
        kept = {self.full(name) for name in (newest[1].names if newest else ())}
        for name in names:
            if "/segments/" in name and name not in kept:
                self.store.delete(name)
        return super().take_over(first, opened_of)


class DeletesWhatItFailedToCommit(IndexStorage):
    """A commit that failed is taken for one that did not happen."""

    def _commit(self, manifest: Manifest) -> None:
        try:
            super()._commit(manifest)
        except Fenced:
            raise
        except StorageFailure:
            for name in self._named.pop() - set().union(*self._named):
                self.store.delete(self.full(name))
            raise


class GoesOnFromWhatItRead(IndexStorage):
    """The manifest is read anew, but not opened anew, where another writer went on meanwhile."""

    def take_over(self, first: Manifest, opened_of: Callable[[Manifest], Opened]) -> tuple[Manifest, Opened]:
        newest = self.newest()
        manifest = newest[1].by(first.writer) if newest else first
        opened = opened_of(manifest)
        while True:
            number = max(self._log.numbers(), default=0)
            self._number, self._named = number, [set(), manifest.names]
            try:
                self._commit(manifest)
            except Fenced:
                continue
            return manifest, opened


MUTANTS = [
    (KeepsTheNewestOnly, ([FLUSH, MERGE], []), 0),
    (TakesEachTryForAManifest, ([FLUSH, MERGE],), 1),
    (CollectsBeforeItIsTheWriter, ([FLUSH], []), 0),
    (DeletesWhatItFailedToCommit, ([FLUSH],), 1),
    (GoesOnFromWhatItRead, ([FLUSH], []), 0),
]


@pytest.mark.parametrize(("mutant", "rounds", "faults"), MUTANTS, ids=[mutant.__name__ for mutant, _, _ in MUTANTS])
def test_a_storage_with_a_fault_is_found_out(
    mutant: type[IndexStorage], rounds: Sequence[Sequence[Round]], faults: int
) -> None:
    def make_storage(context: Context) -> IndexStorage:
        return mutant(context.store, PREFIX)

    assert explored(writers(*rounds), faults=faults).states, "without the fault all is well"
    with pytest.raises(Violation) as found:
        explored(writers(*rounds, make_storage=make_storage), faults=faults)
    assert "has failed" not in found.value.reason
