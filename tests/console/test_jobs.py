from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lutra.console.jobs import JobProgress, JobRun, Jobs, JobState
from lutra.model.deadline import current_deadline
from lutra.model.errors import ObjectNotExist, ParameterInvalid, ServerBusy, StorageFailure

ENDS_WITHIN_S = 30.0


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(threads=1, waiting_max=2, kept_max=2)
    yield made
    made.close()


class Held:
    """Work that goes on until it is let go, and reports as it goes."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, run: JobRun) -> dict[str, Any]:
        run.report(JobProgress(3, 12, 30, 60))
        self.has_begun.set()
        while not self.go_on.wait(0.005):
            run.check()
        return {"written": 12}


def test_a_job_tells_how_far_it_is_and_how_it_ended(jobs: Jobs) -> None:
    work = Held()
    started = jobs.start("import", "people.csv", work)
    assert (started.state, started.about, started.began_us) == (JobState.WAITING, "people.csv", None)
    assert work.has_begun.wait(ENDS_WITHIN_S)
    running = jobs.get(started.id)
    assert running.state is JobState.RUNNING
    assert (running.progress.done, running.progress.share) == (3, 0.25)
    work.go_on.set()
    ended = jobs.wait(started.id, ENDS_WITHIN_S)
    assert (ended.state, ended.outcome, ended.error) == (JobState.DONE, {"written": 12}, None)
    assert ended.began_us is not None
    assert ended.ended_us is not None
    assert ended.created_us <= ended.began_us <= ended.ended_us


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (JobProgress(5), None),
        (JobProgress(5, 10), 0.5),
        (JobProgress(5, None, 3, 12), 0.25),
        (JobProgress(9, 3), 1.0),
        (JobProgress(0, 0), None),
    ],
)
def test_share_of_what_is_known(progress: JobProgress, share: float | None) -> None:
    assert progress.share == share


def test_errors_are_told_as_clients_are(jobs: Jobs) -> None:
    def fail_with(error: Exception) -> str | None:
        def work(run: JobRun) -> dict[str, Any]:
            raise error

        ended = jobs.wait(jobs.start("import", None, work).id, ENDS_WITHIN_S)
        assert ended.state is JobState.FAILED
        return ended.error

    assert fail_with(ParameterInvalid("column 'a' is none")) == "column 'a' is none"
    told = fail_with(StorageFailure("cannot write /srv/secret/data: Input/output error"))
    assert told is not None
    assert "/srv/secret" not in told
    assert "Input/output error" in told
    told = fail_with(ZeroDivisionError("of /srv/secret"))
    assert told is not None
    assert "secret" not in told


def test_a_job_that_runs_is_cancelled_at_its_next_step(jobs: Jobs) -> None:
    work = Held()
    job = jobs.start("import", None, work)
    assert work.has_begun.wait(ENDS_WITHIN_S)
    jobs.cancel(job.id)
    ended = jobs.wait(job.id, ENDS_WITHIN_S)
    assert (ended.state, ended.error, ended.outcome) == (JobState.CANCELLED, None, {})
    assert ended.progress.done == 3
    jobs.cancel(job.id)
    assert jobs.get(job.id).state is JobState.CANCELLED


def test_the_engine_hears_of_it_by_the_deadline_of_the_thread(jobs: Jobs) -> None:
    deadlines = []
    has_begun, go_on = threading.Event(), threading.Event()

    def work(run: JobRun) -> dict[str, Any]:
        deadlines.append(current_deadline())
        has_begun.set()
        go_on.wait(ENDS_WITHIN_S)
        current_deadline().check()  # as each step of the engine does
        return {}

    job = jobs.start("import", None, work)
    assert has_begun.wait(ENDS_WITHIN_S)
    assert not deadlines[0].is_over
    jobs.cancel(job.id)
    go_on.set()
    assert jobs.wait(job.id, ENDS_WITHIN_S).state is JobState.CANCELLED


def test_a_job_that_waits_is_cancelled_at_once(jobs: Jobs) -> None:
    work, other = Held(), Held()
    jobs.start("import", None, work)
    assert work.has_begun.wait(ENDS_WITHIN_S)
    ended: list[str] = []
    waiting = jobs.start("import", None, other, on_ended=lambda: ended.append("waiting"))
    jobs.cancel(waiting.id)
    assert jobs.get(waiting.id).state is JobState.CANCELLED
    assert ended == ["waiting"]
    jobs.cancel(waiting.id)
    assert ended == ["waiting"]
    work.go_on.set()
    last = jobs.start("import", None, lambda run: {})
    assert jobs.wait(last.id, ENDS_WITHIN_S).state is JobState.DONE
    assert not other.has_begun.is_set()


def test_so_many_wait_and_no_more(jobs: Jobs) -> None:
    work = Held()
    jobs.start("import", None, work)
    assert work.has_begun.wait(ENDS_WITHIN_S)
    waiting = [jobs.start("import", number, lambda run: {}) for number in range(2)]
    with pytest.raises(ServerBusy):
        jobs.start("import", None, lambda run: {})
    work.go_on.set()
    assert all(jobs.wait(job.id, ENDS_WITHIN_S).state is JobState.DONE for job in waiting)


def test_of_those_that_ended_the_last_are_kept(jobs: Jobs) -> None:
    forgotten: list[int] = []
    ids = []
    for number in range(4):
        job = jobs.start("import", number, lambda run: {}, on_forgotten=partial(forgotten.append, number))
        jobs.wait(job.id, ENDS_WITHIN_S)
        ids.append(job.id)
    blocker = jobs.start("import", None, lambda run: {})  # its thread has put the ones before in order
    jobs.wait(blocker.id, ENDS_WITHIN_S)
    jobs.close()
    assert forgotten[:2] == [0, 1]
    assert next(iter(jobs.all())).about is None
    for job_id in ids[:2]:
        with pytest.raises(ObjectNotExist):
            jobs.get(job_id)


def test_a_stop_ends_all(jobs: Jobs) -> None:
    work = Held()
    ended: list[str] = []
    running = jobs.start("import", None, work, on_ended=lambda: ended.append("running"))
    assert work.has_begun.wait(ENDS_WITHIN_S)
    waiting = jobs.start("import", None, lambda run: {}, on_ended=lambda: ended.append("waiting"))
    jobs.close()
    assert sorted(ended) == ["running", "waiting"]
    assert jobs.get(running.id).state is JobState.CANCELLED
    assert jobs.get(waiting.id).state is JobState.CANCELLED
    with pytest.raises(ServerBusy):
        jobs.start("import", None, lambda run: {})
