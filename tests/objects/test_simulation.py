"""What tests of all orders stand on: the simulated store answers as a real one, and what is left out adds nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory_store import MemoryStore
from support.simulation.asked_store import AskedStore
from support.simulation.explorer import Explorer
from support.simulation.manifest_programs import MANIFEST_INVARIANTS, writer
from support.simulation.operations import Answer, Objects, Operation, answer_to, done
from support.simulation.processes import Context, Process, Program, frozen

from lutra.model.errors import ObjectMissing
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

NAMES = st.sampled_from(["a/1", "a/2", "b/c/1", "d"])
ACTS = st.tuples(st.sampled_from(["put", "put_if_absent", "get", "delete", "list"]), NAMES, st.binary(max_size=3))


class Simulated:
    """One process's store, and the objects."""

    def __init__(self) -> None:
        self.objects: Objects = {}
        self.store = AskedStore(self._ask)

    def _ask(self, operation: Operation) -> Answer:
        answer = answer_to(operation, self.objects)
        self.objects = done(operation, self.objects)
        return answer


def answered(store: ObjectStore, act: tuple[str, str, bytes]) -> object:
    kind, name, data = act
    try:
        if kind in ("put", "put_if_absent"):
            return getattr(store, kind)(name, data)
        return getattr(store, kind)(name.rpartition("/")[0] if kind == "list" else name)
    except ObjectMissing:
        return ObjectMissing


@given(acts=st.lists(ACTS, max_size=12))
@settings(max_examples=30, deadline=None)
def test_the_simulated_store_and_that_in_memory_answer_as_a_folder(acts: list[tuple[str, str, bytes]]) -> None:
    simulated, memory = Simulated(), MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        local = LocalStore(folder)
        for act in acts:
            told = answered(local, act)
            assert answered(simulated.store, act) == told
            assert answered(memory, act) == told
        kept = {name: local.get(name) for name in local.list("")}
        assert simulated.objects == memory.objects == kept


def ends(programs: Sequence[Program], *, is_reduced: bool, **how: Any) -> set[object]:
    """What is there, and what was noted, at the end of each order."""
    found: set[object] = set()

    def note_end(view: Any) -> None:
        if view.is_over:
            found.add((frozenset(view.objects.items()), tuple(view.notes.values())))

    Explorer(programs, [*MANIFEST_INVARIANTS, note_end], is_reduced=is_reduced, **how).run()
    return found


@pytest.mark.parametrize(("commits", "faults"), [((2, 2), 0), ((1, 2), 1), ((1, 1, 1), 0)])
def test_orders_that_are_left_out_lead_to_nothing_new(commits: Sequence[int], faults: int) -> None:
    programs = [writer(name, commits=number) for name, number in zip("abc", commits, strict=False)]
    whole = ends(programs, is_reduced=False, faults=faults)
    assert whole == ends(programs, is_reduced=True, faults=faults)
    assert len(whole) > 5


def test_a_process_that_is_another_in_each_run_is_refused() -> None:
    runs: list[Context] = []

    def run(context: Context) -> None:
        runs.append(context)
        context.store.list("a")
        context.store.list(f"b{len(runs)}")
        context.store.list("c")

    process = Process(Program("a", lambda context: [lambda: run(context)]))
    second = process.after(process.start, 0, ())
    process.after(process.start, 0, ("a/1",))
    with pytest.raises(AssertionError, match="a is not the same in each run"):
        process.after(second, 0, ())


def test_what_a_process_knows_is_all_that_its_objects_hold() -> None:
    log = ManifestLog(Simulated().store, "log")
    before = frozen(log)
    assert frozen(log) == before
    log._unsure.add(3)
    assert frozen(log) != before
    with pytest.raises(TypeError, match="is not known"):
        frozen(object())
