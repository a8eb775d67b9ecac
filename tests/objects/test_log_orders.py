"""Writers of one log in every order that their operations can come in, with answers that are lost: to the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.simulation.explorer import Explored, Explorer
from support.simulation.manifest_programs import FOLDER, MANIFEST_INVARIANTS, MakeLog, writer
from support.simulation.operations import DELETE, LIST, PUT_IF_ABSENT
from support.simulation.played import Played
from support.simulation.processes import Context, Program
from support.simulation.world import Violation

from lutra.model.errors import Fenced, StorageFailure
from lutra.objects import manifest_log
from lutra.objects.manifest_log import ManifestLog


def explored(programs: Sequence[Program], *, faults: int = 0) -> Explored:
    return Explorer(programs, MANIFEST_INVARIANTS, faults=faults).run()


def writers(*commits: int, make_log: MakeLog | None = None) -> list[Program]:
    given = {} if make_log is None else {"make_log": make_log}
    return [writer(name, commits=number, **given) for name, number in zip("abc", commits, strict=False)]


def test_three_writers_that_collect_in_every_order() -> None:
    found = explored(writers(2, 2, 2))
    assert found.schedules > 10**8
    assert found.states > 30_000


def test_two_writers_with_a_fault_at_every_operation() -> None:
    found = explored(writers(2, 2), faults=1)
    assert found.schedules > 200_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("commits", "faults"), [((2, 2), 2), ((1, 2, 1), 1), ((2, 2, 2), 1)])
def test_more_of_both(commits: Sequence[int], faults: int) -> None:
    found = explored(writers(*commits), faults=faults)
    print(f"{commits} commits, {faults} faults: {found}")
    assert found.schedules > 10**7


def test_the_same_is_explored_each_time() -> None:
    assert explored(writers(1, 2), faults=1) == explored(writers(1, 2), faults=1)


# --- cases that have a name -------------------------------------------------------------------------------------------


def test_a_stalled_writer_that_comes_back_after_collection_commits_nothing() -> None:
    """Its number is free again; and what it puts there is not the newest, at no moment."""
    played = Played(writers(2, 3), MANIFEST_INVARIANTS)
    played.until("a", PUT_IF_ABSENT, "2")
    played.finish("b")
    assert [name[-1] for name in played.objects] == ["4"], "1 to 3 were forgotten"
    played.step("a")
    assert [name[-1] for name in sorted(played.objects)] == ["2", "4"]
    played.finish("a")
    assert [note[1] for note in played.notes("a")] == [1]


def test_a_put_that_was_taken_but_answered_by_a_reset_is_found_to_be_there() -> None:
    played = Played(writers(1), MANIFEST_INVARIANTS)
    played.until("a", PUT_IF_ABSENT)
    played.lose_answer("a")
    played.finish("a")
    assert [note[:2] for note in played.notes("a")] == [("acknowledged", 1)]


def test_a_put_that_comes_late_does_not_take_the_place_of_what_went_on() -> None:
    played = Played(writers(1, 3), MANIFEST_INVARIANTS)
    played.until("a", PUT_IF_ABSENT)
    late = played.lose_request("a")
    played.finish("b")
    played.do_late(late)
    played.finish("a")
    assert played.notes("a") == []
    assert len(played.notes("b")) == 3


def test_a_writer_that_dies_between_its_put_and_its_answer_has_been_heard_or_has_not() -> None:
    """Who comes next goes on from it: nobody was told that it is there, and nobody that it is not."""
    played = Played(writers(1, 1), MANIFEST_INVARIANTS)
    played.until("a", PUT_IF_ABSENT)
    played.step("a")
    played.finish("b")
    assert [note[2] for note in played.notes("b")] == [b" a1 b1"]


def test_a_collection_that_stalls_deletes_nothing_that_came_since() -> None:
    played = Played(writers(2, 2), MANIFEST_INVARIANTS)
    played.until("a", DELETE, "1")
    played.finish("b")
    played.finish("a")
    assert [name[-1] for name in played.objects] == ["4"]


# --- the explorer bites -----------------------------------------------------------------------------------------------


def encoded(log: ManifestLog, number: int, payload: bytes) -> bytes:
    return manifest_log._encode(number, log._writer, payload)


class ForgetsTheNewest(ManifestLog):
    def forget(self, before: int) -> None:
        for number in self.numbers():
            if number <= before:
                self._store.delete(self.name(number))


class TakesAFreeNumberForItsOwn(ManifestLog):
    """Without the list after the put."""

    def commit(self, number: int, payload: bytes) -> int:
        while not self._put(number, payload):
            number += 1
        return number


class TakesNoAnswerForYes(ManifestLog):
    """Without the read-back."""

    def _put(self, number: int, payload: bytes) -> bool:
        try:
            return super()._put(number, payload)
        except StorageFailure as error:
            if "reset" in str(error):
                return True
            raise


class TakesNoAnswerForNo(ManifestLog):
    """Another number is tried, without a look whether the first was put."""

    def commit(self, number: int, payload: bytes) -> int:
        for tried in range(number, number + 2):
            try:
                if self._store.put_if_absent(self.name(tried), encoded(self, tried, payload)):
                    return tried
            except StorageFailure:
                continue
        raise StorageFailure("tried twice")


class PutsOver(ManifestLog):
    """Without the condition."""

    def _put(self, number: int, payload: bytes) -> bool:
        self._store.put(self.name(number), encoded(self, number, payload))
        return True


class LooksBeforeItPuts(ManifestLog):
    """The list comes before the put."""

    def commit(self, number: int, payload: bytes) -> int:
        if max(self.numbers(), default=0) >= number:
            raise Fenced("another was faster")
        while not self._put(number, payload):
            number += 1
        return number


MUTANTS = [
    (ForgetsTheNewest, 0),
    (TakesAFreeNumberForItsOwn, 0),
    (TakesNoAnswerForYes, 1),
    (TakesNoAnswerForNo, 1),
    (PutsOver, 0),
    (LooksBeforeItPuts, 0),
]


@pytest.mark.parametrize(("mutant", "faults"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_log_with_a_fault_is_found_out(mutant: type[ManifestLog], faults: int) -> None:
    def make_log(context: Context) -> ManifestLog:
        return mutant(context.store, FOLDER)

    with pytest.raises(Violation) as found:
        explored(writers(1, 3, make_log=make_log), faults=faults)
    assert "has failed" not in found.value.reason
    assert found.value.steps


def test_a_violation_tells_the_order_that_led_to_it() -> None:
    with pytest.raises(Violation, match="b' a1' of a is lost: b' b1' counts") as found:
        explored(writers(1, 1, make_log=lambda context: PutsOver(context.store, FOLDER)))
    assert any(step.startswith("a: put") for step in found.value.steps)
    assert found.value.steps[0].endswith(f"{LIST} {FOLDER}")
