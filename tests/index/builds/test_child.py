"""A module as a process: it ends in good order, also where another process was forked meanwhile."""

from __future__ import annotations

import os
import signal

from lutra.index.builds.child import ChildModule

_MODULE = "lutra.index.builds.builder"
_WITHIN_S = 120.0


def test_it_ends_when_its_input_does() -> None:
    child = ChildModule(_MODULE, os.environ)
    assert child.is_running
    child.end(_WITHIN_S)
    assert child.wait() == 0, "nobody killed it"
    child.lines.close()


def test_a_forked_process_does_not_keep_it_running() -> None:
    child = ChildModule(_MODULE, os.environ, leads_session=True)
    forked = os.fork()
    if forked == 0:
        signal.pause()
        os._exit(1)
    try:
        child.end(_WITHIN_S)
        assert child.wait() == 0, "nobody killed it"
        child.lines.close()
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)


def test_it_is_killed_where_it_does_not_end() -> None:
    child = ChildModule(_MODULE, os.environ, leads_session=True)
    os.kill(child.pid, signal.SIGSTOP)
    child.end(0.01)
    assert child.wait() == -signal.SIGKILL
    child.lines.close()
