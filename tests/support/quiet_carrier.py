"""A carrier of builds that notes what it is asked, and says what the test has it say."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.policy import SegmentShape


@dataclass
class QuietCarrier:
    """A `Carrier`. ``under_way``: jobs handed over and not cancelled, by output; ``given``: all outputs, in order."""

    under_way: dict[str, BuildJob] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    avoided: dict[str, str | None] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def start(self, job: BuildJob, *, is_quick: bool, avoid: str | None) -> None:
        assert job.output not in self.given, "an output is given to one attempt"
        self.given.append(job.output)
        self.avoided[job.output] = avoid
        self.under_way[job.output] = job

    def cancel(self, output: str) -> None:
        self.cancelled.append(output)
        self.under_way.pop(output, None)

    def look(self, now_s: float) -> None:
        """Nothing is ever lost by itself."""

    def close(self) -> None:
        self.under_way.clear()


class QuietBuilder:
    """A `Builder` whose builds end when the test has them end."""

    def __init__(self) -> None:
        self.under_way: dict[str, tuple[BuildJob, Future[BuildDone]]] = {}
        self.hurried: list[str] = []

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        self.under_way[job.output] = job, future
        return future

    def cancel(self, output: str) -> None:
        self.under_way.pop(output, None)

    def hurry(self, output: str) -> None:
        self.hurried.append(output)

    def close(self) -> None:
        self.under_way.clear()


def done(output: str) -> BuildDone:
    """What comes of a build, by that name."""
    return BuildDone(SegmentShape(output, 1, 0, 1), 0.5)
