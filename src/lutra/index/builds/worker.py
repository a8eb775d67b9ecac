"""A process that builds segments, one job after the other, and gives way to everybody else."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, Final

from lutra.index.builds.child import ChildModule, child_of
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.priority import Priority
from lutra.kernels import malloc
from lutra.kernels.process_stat import SYSTEM_TICKS, USER_TICKS, stat_fields
from lutra.model import errors
from lutra.model.errors import LutraError, StorageFailure
from lutra.vectors.build_memory import sample_bytes_of

_MODULE: Final = "lutra.index.builds.builder"
_UNTOUCHED_BYTES: Final = 24 * 1024 * 1024
"""Private memory that is there and is none: of stacks; and a cache that is hardly ever full comes beside it."""
_END_WAIT_S: Final = 2.0
Runner = Callable[[BuildJob, Progress], BuildDone]
_ONE_THREAD: Final = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


class WorkerProcess:
    """Such a process, seen from the one that started it. One thread uses it; ``kill`` and ``move`` may come from any.

    It ends with the thread that started it, and so with that thread's process, however that ends.
    """

    def __init__(self, priority: Priority = Priority.LAST) -> None:
        """Raises StorageFailure where the machine has no room for a process."""
        self._priority: Priority | None = None
        try:
            self._child = ChildModule(_MODULE, {**os.environ, **_ONE_THREAD})
        except OSError as error:
            raise StorageFailure(f"no builder could be started: {error.strerror}") from error
        self.move(priority)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def processor_s(self) -> float:
        """Processor time the process has taken; where the system does not tell, the time that has passed."""
        try:
            fields = stat_fields(self.pid)
            return (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return time.monotonic()

    def move(self, priority: Priority) -> bool:
        """Whether it stands there in line now: moving up is not everybody's right."""
        if priority is not self._priority:
            try:
                priority.give(self.pid)
            except (PermissionError, ProcessLookupError):
                return False
            self._priority = priority
        return True

    def build(self, job: BuildJob, on_progress: Progress | None = None) -> BuildDone:
        """Has a job done. Raises what the build raised; StorageFailure where the process ended, and is of no more use.

        A build that ran out of memory raises MemoryError.
        """
        try:
            self._child.write_line(job.to_json())
            for line in self._child.lines:
                reply = json.loads(line)
                if "progress" in reply:
                    if on_progress is not None:
                        on_progress(*reply["progress"])
                elif "done" in reply:
                    return BuildDone.from_json(reply["done"])
                else:
                    raise raised(*reply["error"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.kill()
            raise StorageFailure(f"the builder of {job.output} gave no sensible answer: {error!r}") from error
        code = self._child.wait()
        how = f"signal {-code}" if code < 0 else f"status {code}"
        raise StorageFailure(f"the builder of {job.output} ended with {how} before it was done")

    def kill(self) -> None:
        """At once, whatever it is at."""
        self._child.kill()

    def close(self) -> None:
        """Ends it: at once where it has nothing to do, else by force."""
        self._child.end(_END_WAIT_S)
        self._child.lines.close()


def raised(kind: str, text: str) -> Exception:
    """The error that a worker told of."""
    if kind == MemoryError.__name__:
        return MemoryError(text)
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, LutraError):
        return known(text)
    return StorageFailure(f"{kind}: {text}")


# --- within the process ----------------------------------------------------------------------------------------------


def serve(parent_pid: int, run: Runner) -> None:
    """Reads jobs from stdin, a line each, until there are no more, and tells of them on stdout, JSON a line.

    ``{"progress": [phase, rows done, rows in all]}``, then ``{"done": …}`` or ``{"error": [class, text]}``. A worker
    that ran out of memory ends after saying so.
    """
    malloc.small_stacks()
    malloc.keep_little(arenas=2)
    with child_of(parent_pid) as replies:
        for line in sys.stdin.buffer:
            if not _serve_one(line, replies, run):
                return


def _serve_one(line: bytes, replies: IO[str], run: Runner) -> bool:
    """Whether the process is fit for another job."""

    def tell(**reply: object) -> None:
        replies.write(json.dumps(reply) + "\n")

    try:
        job = BuildJob.from_json(line)
        cache_bytes = sample_bytes_of(job.build_memory_bytes or job.memory_bytes)
        with _memory_limited(job.memory_bytes + _UNTOUCHED_BYTES + cache_bytes):
            done = run(job, lambda phase, rows, total: tell(progress=[phase, rows, total]))
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            tell(error=["MemoryError", f"the build needs more than its {job.memory_bytes} bytes"])
            return False
        tell(error=[type(error).__name__, str(error)])
    else:
        tell(done=done.to_json())
    return True


@contextlib.contextmanager
def _memory_limited(memory_bytes: int) -> Iterator[None]:
    """Private memory can grow by so much and no more: what asks for more gets a MemoryError.

    RLIMIT_DATA counts what is written to; the address space, full of files and stacks, would say nothing.
    """
    has_bytes = _data_bytes()
    if has_bytes is None:
        yield
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = has_bytes + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _data_bytes() -> int | None:
    """Private memory of this process as RLIMIT_DATA counts it; None where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmData:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
