"""Which builds are handed over, begun again, built here and given up, as time goes by: without threads or Ray."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.quiet_carrier import QuietBuilder, QuietCarrier, done

from lutra.index.builds.builder import QUICK_BYTES
from lutra.index.builds.job import BuildDone, BuildInput, BuildJob
from lutra.index.builds.remote.carrier import Beat, Begun, Died, Done, Failed, Gone, Ready, Unready
from lutra.index.builds.remote.jobs import Patience, RemoteJobs
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema

SCHEMA = IndexSchema((FieldSchema("n", FieldType.LONG),))
LARGE_BYTES = 2 * QUICK_BYTES
PATIENCE = Patience()


class Remote:
    """The jobs, what carries them, who builds here, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.carrier = QuietCarrier()
        self.local = QuietBuilder()
        self.jobs = RemoteJobs(self.carrier, self.local, PATIENCE)

    def submit(self, output: str = "a", memory_bytes: int = LARGE_BYTES) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        job = BuildJob("/o", (BuildInput("x"),), output, SCHEMA, "/s", memory_bytes)
        self.jobs.submit(job, None, future, self.now_s)
        return future

    def tell(self, *events: Ready | Unready | Gone | Begun | Beat | Done | Failed | Died) -> None:
        for event in events:
            self.jobs.told(event, self.now_s)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.jobs.step(self.now_s)
        self.jobs.forget_done()

    @property
    def counts(self) -> tuple[int, int, int]:
        state = self.jobs.state
        return state.waiting, state.queued, state.running


@pytest.fixture
def remote() -> Remote:
    made = Remote()
    made.tell(Ready())
    return made


def test_done(remote: Remote) -> None:
    seen: list[tuple[str, int, int]] = []
    future: Future[BuildDone] = Future()
    job = BuildJob("/o", (BuildInput("x"),), "a", SCHEMA, "/s", LARGE_BYTES)
    remote.jobs.submit(job, lambda phase, rows, total: seen.append((phase, rows, total)), future, remote.now_s)
    assert remote.carrier.under_way == {"a": job}
    assert remote.counts == (0, 1, 0)
    remote.tell(
        Begun("a", "m1"), Beat("a", "keys", 1, 9, 0.1), Beat("a", "keys", 1, 9, 0.2), Beat("a", "keys", 5, 9, 1)
    )
    assert remote.counts == (0, 0, 1)
    remote.tell(Done("a", done("a")))
    assert future.result(0) == done("a")
    assert seen == [("keys", 1, 9), ("keys", 5, 9)]
    assert remote.jobs.state.done == 1
    assert remote.counts == (0, 0, 0)


def test_a_lost_attempt_is_made_again_elsewhere_under_a_name_of_its_own(remote: Remote) -> None:
    future = remote.submit()
    remote.tell(Begun("a", "m1"), Died("a", "killed"))
    again = remote.carrier.under_way["a-1"]
    assert again.earlier == ("a",), "what the first may have put is looked for"
    assert remote.carrier.avoided == {"a": None, "a-1": "m1"}
    remote.tell(Begun("a-1", "m2"))
    remote.tell(Done("a", done("a")))
    assert not future.done(), "the first is not heard any more"
    remote.tell(Done("a-1", done("a")))
    assert future.result(0).shape.name == "a", "the second found what the first had put"
    assert remote.jobs.state.lost == 1


def test_what_is_lost_over_and_over_is_given_up_and_can_be_offered_again(remote: Remote) -> None:
    future = remote.submit()
    for output in ("a", "a-1", "a-2"):
        assert not future.done()
        remote.tell(Begun(output, "m1"), Failed(output, StorageFailure("disk full")))
    with pytest.raises(StorageFailure, match="lost 3 times, at last as disk full"):
        future.result(0)
    later = remote.submit("b")
    remote.tell(Begun("b", "m1"), Done("b", done("b")))
    assert later.result(0) == done("b")


def test_what_a_build_raises_is_raised_at_once(remote: Remote) -> None:
    for error in (Corruption("damaged"), MemoryError("more")):
        future = remote.submit()
        remote.tell(Begun("a", "m1"), Failed("a", error))
        assert future.exception(0) is error
        remote = Remote()
        remote.tell(Ready())


def test_progress_counts_and_time_does_not(remote: Remote) -> None:
    future = remote.submit()
    remote.tell(Begun("a", "m1"))
    for number in range(1_000):
        remote.passes(PATIENCE.stall_s - 1)
        remote.tell(Beat("a", "graph", 7, 9, float(number)))
    assert remote.carrier.cancelled == []
    remote.passes(PATIENCE.stall_s - 1)
    remote.tell(Beat("a", "graph", 7, 9, 999.0), Beat("a", "graph", 7, 9, 999.05))
    assert remote.carrier.cancelled == [], "no progress, but not for long"
    remote.passes(1)
    assert remote.carrier.cancelled == ["a"]
    assert list(remote.carrier.under_way) == ["a-1"]
    assert remote.carrier.avoided["a-1"] == "m1"
    assert not future.done()


def test_a_large_build_waits_in_line_as_long_as_it_takes(remote: Remote) -> None:
    future = remote.submit()
    for _ in range(100):
        remote.passes(1_000)
    assert not future.done()
    assert list(remote.carrier.under_way) == ["a"]


def test_a_quick_build_that_nobody_begins_is_built_here(remote: Remote) -> None:
    future = remote.submit("q", QUICK_BYTES)
    remote.passes(PATIENCE.queue_s - 1)
    assert not remote.local.under_way
    remote.passes(1)
    assert remote.carrier.cancelled == ["q"]
    job, local = remote.local.under_way["q-1"]
    assert job.earlier == ("q",), "somebody may have begun it after all"
    remote.tell(Done("q", done("q")))
    assert not future.done()
    local.set_result(done("q-1"))
    assert future.result(0) == done("q-1")
    remote.passes(1)
    assert remote.jobs.state.local == 1


def test_one_that_is_waited_for_waits_less(remote: Remote) -> None:
    remote.submit("q", QUICK_BYTES)
    remote.submit("r", QUICK_BYTES)
    remote.jobs.hurry("q")
    remote.passes(PATIENCE.hurried_queue_s)
    assert list(remote.local.under_way) == ["q-1"]
    assert remote.local.hurried == ["q-1"]
    remote.jobs.hurry("r")
    remote.passes(0)
    assert list(remote.local.under_way) == ["q-1", "r-1"]


def test_without_ray_quick_builds_are_done_here_and_large_ones_given_up() -> None:
    remote = Remote()
    large, quick = remote.submit("a"), remote.submit("q", QUICK_BYTES)
    remote.tell(Unready("no head"))
    remote.passes(PATIENCE.unreachable_s - 1)
    assert not large.done()
    assert not remote.local.under_way
    remote.passes(1)
    with pytest.raises(StorageFailure, match="no head"):
        large.result(0)
    local = remote.local.under_way["q"][1]
    local.set_exception(MemoryError("more"))
    assert isinstance(quick.exception(0), MemoryError)
    assert remote.carrier.given == []


def test_as_long_as_ray_is_gone_nothing_waits_for_it_again() -> None:
    """Buffers wait for quick builds: they would pile up if each waited its time."""
    remote = Remote()
    remote.submit("q", QUICK_BYTES)
    for _ in range(40):
        remote.tell(Unready("no head"))  # it is tried again and again
        remote.passes(1)
    assert list(remote.local.under_way) == ["q"]
    remote.submit("r", QUICK_BYTES)
    assert list(remote.local.under_way) == ["q", "r"]
    with pytest.raises(StorageFailure):
        remote.submit("a").result(0)
    remote.tell(Ready())
    remote.submit("s", QUICK_BYTES)
    assert list(remote.carrier.under_way) == ["s"]
    remote.tell(Gone("killed"))
    remote.passes(PATIENCE.unreachable_s - 1)
    assert "s-1" not in remote.local.under_way, "it is given its time anew"
    remote.passes(1)
    assert "s-1" in remote.local.under_way


def test_where_nobody_begins_quick_builds_one_at_a_time_is_tried(remote: Remote) -> None:
    """Builders are busy, or there are none: the others are not to wait for nothing."""
    remote.submit("q", QUICK_BYTES)
    remote.passes(PATIENCE.queue_s)
    assert list(remote.local.under_way) == ["q-1"]
    for output in ("r", "s", "t"):
        remote.submit(output, QUICK_BYTES)
    assert list(remote.carrier.under_way) == ["r"]
    assert list(remote.local.under_way) == ["q-1", "s", "t"]
    remote.tell(Begun("r", "m1"))
    for output in ("u", "v"):
        remote.submit(output, QUICK_BYTES)
    assert list(remote.carrier.under_way) == ["r", "u", "v"]


def test_a_ray_that_comes_and_goes_does_not_hold_up_a_quick_build(remote: Remote) -> None:
    remote.submit("q", QUICK_BYTES)
    for _ in range(int(PATIENCE.queue_s) // 10):
        assert not remote.local.under_way
        remote.tell(Gone("killed"))
        remote.passes(5)
        remote.tell(Ready())
        remote.passes(5)
    assert len(remote.local.under_way) == 1


def test_what_was_handed_over_survives_that_nothing_new_is_taken(remote: Remote) -> None:
    future = remote.submit("a")
    remote.tell(Begun("a", "m1"), Unready("the head is gone"))
    late = remote.submit("b")
    assert remote.carrier.given == ["a"]
    remote.tell(Done("a", done("a")))
    assert future.result(0) == done("a")
    remote.tell(Ready())
    assert remote.carrier.given == ["a", "b"]
    assert not late.done()


def test_all_is_lost_and_made_again(remote: Remote) -> None:
    futures = [remote.submit(name) for name in ("a", "b")]
    remote.tell(Begun("a", "m1"), Gone("killed"))
    assert remote.counts == (2, 0, 0)
    assert remote.jobs.state.lost == 1, "the other was never begun"
    remote.tell(Ready())
    assert remote.carrier.given == ["a", "b", "a-1", "b-1"]
    for name in ("a-1", "b-1"):
        remote.tell(Begun(name, "m2"), Done(name, done(name)))
    assert [future.result(0).shape.name for future in futures] == ["a-1", "b-1"]


def test_cancelled(remote: Remote) -> None:
    waiting = Remote()
    for one, output in ((remote, "a"), (waiting, "a")):
        future = one.submit(output)
        one.jobs.cancel("unknown")
        one.jobs.cancel(output)
        with pytest.raises(StorageFailure, match="not wanted"):
            future.result(0)
        assert one.counts == (0, 0, 0)
    assert remote.carrier.cancelled == ["a"]
    assert waiting.carrier.cancelled == []
    here = remote.submit("q", QUICK_BYTES)
    remote.passes(PATIENCE.queue_s)
    remote.jobs.cancel("q")
    assert not remote.local.under_way
    assert here.done()


def test_closed(remote: Remote) -> None:
    futures = [remote.submit("a"), remote.submit("q", QUICK_BYTES)]
    remote.passes(PATIENCE.queue_s)
    remote.jobs.close()
    for future in futures:
        with pytest.raises(StorageFailure, match="closed"):
            future.result(0)
    assert not remote.carrier.under_way
    assert not remote.local.under_way


class AnyOrder(RuleBasedStateMachine):
    """Whatever is told in whatever order, a build ends once, no output is given twice, and none is begun for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.remote = Remote()
        self.futures: dict[str, Future[BuildDone]] = {}

    @rule(is_quick=st.booleans())
    def submit(self, is_quick: bool) -> None:
        output = f"o{len(self.futures)}"
        self.futures[output] = self.remote.submit(output, QUICK_BYTES if is_quick else LARGE_BYTES)

    @rule(event=st.sampled_from([Ready(), Unready("u"), Gone("g")]))
    def told(self, event: Ready | Unready | Gone) -> None:
        if isinstance(event, Gone):
            self.remote.carrier.under_way.clear()
        self.remote.tell(event)

    @precondition(lambda self: self.remote.carrier.given)
    @rule(data=st.data(), kind=st.sampled_from(["begun", "beat", "done", "failed", "raised", "died"]))
    def of_a_job(self, data: st.DataObject, kind: str) -> None:
        """Of any that was ever handed over, those included that were given up."""
        output = data.draw(st.sampled_from(self.remote.carrier.given))
        events: dict[str, Callable[[], Begun | Beat | Done | Failed | Died]] = {
            "begun": lambda: Begun(output, "m"),
            "beat": lambda: Beat(output, "p", 1, 2, self.remote.now_s),
            "done": lambda: Done(output, done(output)),
            "failed": lambda: Failed(output, StorageFailure("s")),
            "raised": lambda: Failed(output, Corruption("c")),
            "died": lambda: Died(output, "d"),
        }
        if kind not in ("begun", "beat"):
            self.remote.carrier.under_way.pop(output, None)
        self.remote.tell(events[kind]())

    @rule(seconds=st.sampled_from([1.0, 11.0, 40.0, 130.0]))
    def passes(self, seconds: float) -> None:
        self.remote.passes(seconds)

    @precondition(lambda self: self.futures)
    @rule(data=st.data(), is_hurried=st.booleans())
    def asked(self, data: st.DataObject, is_hurried: bool) -> None:
        output = data.draw(st.sampled_from(sorted(self.futures)))
        if is_hurried:
            self.remote.jobs.hurry(output)
        else:
            self.remote.jobs.cancel(output)
            assert self.futures[output].done()

    @precondition(lambda self: self.remote.local.under_way)
    @rule()
    def built_here(self) -> None:
        output, (_, future) = self.remote.local.under_way.popitem()
        future.set_result(done(output))

    @invariant()
    def holds(self) -> None:
        state, under_way = self.remote.jobs.state, self.remote.carrier.under_way
        unfinished = [output for output, future in self.futures.items() if not future.done()]
        local = len(self.remote.local.under_way)
        assert state.waiting + state.queued + state.running + local == len(unfinished)
        stems = [output.partition("-")[0] for output in under_way]
        assert len(stems) == len(set(stems)), "one attempt at a time"
        for output, future in self.futures.items():
            if future.done() and future.exception() is None:
                assert future.result().shape.name.partition("-")[0] == output

    def teardown(self) -> None:
        """In the end all come to an end, where Ray answers and loses nothing."""
        self.remote.tell(Ready())
        for _ in range(4):
            for output in list(self.remote.carrier.under_way):
                del self.remote.carrier.under_way[output]
                self.remote.tell(Begun(output, "m"), Done(output, done(output)))
            while self.remote.local.under_way:
                self.built_here()
            self.remote.passes(1)
        assert all(future.done() for future in self.futures.values())
        assert self.remote.counts == (0, 0, 0)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_earlier_outputs_travel_with_a_job() -> None:
    job = BuildJob("/o", (BuildInput("x"),), "a-2", SCHEMA, "/s", 7, earlier=("a", "a-1"))
    assert BuildJob.from_json(job.to_json()) == job
    assert BuildJob.from_json(replace(job, earlier=()).to_json()).earlier == ()
