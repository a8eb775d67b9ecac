"""Ray as what carries builds, seen from the process that asks: a driver process, started again where it ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from lutra.index.builds.child import ChildModule
from lutra.index.builds.job import BuildDone, BuildJob
from lutra.index.builds.remote.carrier import Beat, Begun, Died, Done, Event, Failed, Gone, Ready, Unready
from lutra.index.builds.remote.ray_settings import RaySettings, environment, settings_line
from lutra.index.builds.worker import raised
from lutra.model.pauses import Pauses

_MODULE: Final = "lutra.index.builds.remote.ray_driver"
_SILENT_S: Final = 60.0
"""A driver that has said nothing for so long is ended."""
_START_S: Final = 180.0
"""Until it has said something at all, so long: Ray takes a while to start on a busy machine."""
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 30.0
_END_WAIT_S: Final = 5.0
_TAIL_BYTES: Final = 2_000

_log = logging.getLogger(__name__)


class RayCarrier:
    """A `Carrier`: tasks of Ray do the builds. The thread that makes it outlives it."""

    def __init__(self, settings: RaySettings, tell: Callable[[Event], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._driver: _Driver | None = None
        self._pauses = Pauses(_RETRY_FIRST_S, _RETRY_LAST_S)

    def start(self, job: BuildJob, *, is_quick: bool, avoid: str | None) -> None:
        if self._driver is None:
            self._tell(Died(job.output, f"{self._settings.name} is gone"))
        else:
            self._driver.ask(start=[job.to_json(), is_quick, avoid])

    def cancel(self, output: str) -> None:
        if self._driver is not None:
            self._driver.ask(cancel=output)

    def look(self, now_s: float) -> None:
        driver = self._driver
        if driver is not None:
            if driver.was_ready:
                self._pauses.succeeded()
            if driver.ended:
                self._let_go(driver, driver.last_words(), now_s)
            elif now_s - driver.heard_s >= driver.silent_max_s:
                self._let_go(driver, f"nothing was heard of it for {driver.silent_max_s:.0f} s", now_s)
        if self._driver is None and self._pauses.is_over(now_s):
            try:
                self._driver = _Driver(self._settings, self._tell)
            except OSError as error:
                self._pauses.put_off(now_s)
                self._tell(Unready(f"a process for {self._settings.name} could not be started: {error.strerror}"))

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def _let_go(self, driver: _Driver, why: str, now_s: float) -> None:
        driver.kill()
        self._driver = None
        self._pauses.put_off(now_s)
        self._tell(Gone(f"{self._settings.name} is gone: {why}"))


class _Driver:
    """Such a process (`lutra.index.builds.remote.ray_driver`) and a thread that reads what it tells."""

    def __init__(self, settings: RaySettings, tell: Callable[[Event], None]) -> None:
        """Raises OSError where the machine has no room for a process."""
        self.heard_s = time.monotonic()
        self.ended = self.was_ready = False
        self._tell = tell
        self._why = ""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - what Ray prints, to be looked at where it ends
        self._child = ChildModule(_MODULE, environment(settings, os.environ), stderr=self._words, leads_session=True)
        self._write(settings_line(settings))
        threading.Thread(target=self._read, name="lutra-builder-ray", daemon=True).start()

    @property
    def silent_max_s(self) -> float:
        return _SILENT_S if self.was_ready else _START_S

    def ask(self, **command: object) -> None:
        self._write(json.dumps(command))

    def last_words(self) -> str:
        """Of one that has ended: why, as far as it said."""
        ended = os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        kind = "status" if ended is None or ended.si_code == os.CLD_EXITED else "signal"
        how = "its driver is at its end" if ended is None else f"its driver ended with {kind} {ended.si_status}"
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - _TAIL_BYTES))
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return self._why or (f"{how}: {lines[-1]}" if lines else how)

    def kill(self) -> None:
        """With all that it has started: some of Ray's processes outlive who did by a minute."""
        self._child.kill()
        self._end(0.0)

    def close(self) -> None:
        """In good order, if that does not take long."""
        self._end(_END_WAIT_S)

    def _end(self, grace_s: float) -> None:
        self._child.end(grace_s)
        self._words.close()

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it has ended: who reads finds out
            self._child.write_line(line)

    def _read(self) -> None:
        try:
            for line in self._child.lines:
                self.heard_s = time.monotonic()
                self._hear(json.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the driver of Ray said what makes no sense: %r", error)
        finally:
            self._child.lines.close()
            self.ended = True

    def _hear(self, reply: dict[str, Any]) -> None:
        if "task" in reply:
            output, line = reply["task"]
            self._tell(_event(output, json.loads(line)))
        elif "died" in reply:
            self._tell(Died(*reply["died"]))
        elif "ready" in reply:
            self.was_ready = True
            _log.info("Ray offers %s", reply["ready"])
            self._tell(Ready())
        elif "unready" in reply:
            self._why = reply["unready"]
            self._tell(Unready(self._why))


def _event(output: str, told: dict[str, Any]) -> Event:
    if "begun" in told:
        where, host, pid = told["begun"]
        _log.info("%s is built on %s, process %d", output, host, pid)
        return Begun(output, where)
    if "beat" in told:
        return Beat(output, *told["beat"])
    if "done" in told:
        return Done(output, BuildDone.from_json(told["done"]))
    return Failed(output, raised(*told["error"]))
