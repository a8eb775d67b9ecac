"""A module of ours as a process of its own, which is talked to by its pipes and ends with who started it.

Both sides: `ChildModule` for the one that starts it, `child_of` for the process itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Final

from lutra.model import forks

_PR_SET_PDEATHSIG: Final = 1


class ChildModule:
    """``python -m MODULE PID``, with ``PID`` of this process. It ends with the thread that started it."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        *,
        stderr: IO[bytes] | int | None = None,
        leads_session: bool = False,
    ) -> None:
        """
        :param environment: but where it looks for modules, which is as here.
        :param stderr: as `subprocess.Popen` takes it.
        :param leads_session: so that it can be killed with all that it has started.
        :raises OSError: the machine has no room for a process.
        """
        self._leads_session = leads_session
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=leads_session,
        )
        forks.follow(self)

    def forked(self) -> None:
        """The parent's pipes are not kept open: the process ends when the parent closes them."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):  # closed already
                os.close(pipe.fileno() if pipe is not None else -1)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def lines(self) -> IO[bytes]:
        """What it says; whoever reads it closes it."""
        assert self._process.stdout is not None
        return self._process.stdout

    def write_line(self, line: str) -> None:
        """Raises OSError where it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        """Its status once it has ended, below 0 where that was a signal."""
        return self._process.wait()

    def kill(self) -> None:
        """At once; where it leads a session, with all of that. Does not wait."""
        if not self._leads_session:
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, grace_s: float) -> None:
        """Closes its stdin, upon which it is to end; kills it where it has not within ``grace_s``, and in any case what
        is left of its session. It has ended when this returns."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what was not written is of no use any more
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.kill()
        self._process.wait()


# --- within the process ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def child_of(parent_pid: int) -> Iterator[IO[str]]:
    """Of a process that `ChildModule` started. Gives what takes its lines, each written at once: nothing else that
    prints, does so there."""
    _end_with(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, for the parent, which will end us
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)  # whatever else prints
        yield replies


def _end_with(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent ends; ends it where that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)
