"""A Ray of this machine that several processes use, ``python -m lutra.index.builds.remote.ray_head PARENT_PID``.

It ends with its parent. On stdin: ``{"settings": …}``, and then nothing; on stdout: ``{"ready": address}`` or
``{"unready": why}``, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Final

from lutra.index.builds.remote.ray_process import RayGone, core_processes, ray_of
from lutra.index.builds.remote.ray_settings import ADDRESS, RaySettings, environment, settings_line
from lutra.index.builds.worker import end_with
from lutra.model.errors import StorageFailure

_MODULE: Final = "lutra.index.builds.remote.ray_head"
_LOOK_S: Final = 1.0
_PAUSE_FIRST_S: Final = 1.0
_PAUSE_LAST_S: Final = 30.0
_END_WAIT_S: Final = 5.0

_log = logging.getLogger(__name__)


class RayHead:
    """Such a process, kept running at one address. Who has its ``environment`` can ask it."""

    def __init__(self, settings: RaySettings) -> None:
        """``settings`` without an address. Starts nothing yet."""
        self._settings = settings
        port = _free_port()
        self._own = environment(settings, os.environ) | {"RAY_GCS_SERVER_PORT": str(port)}
        told = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
        self.environment = {name: self._own[name] for name in told} | {ADDRESS: f"127.0.0.1:{port}"}
        """Of those who use it; there is a secret in it."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._why = "it was not started"
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="lutra-ray-head", daemon=True)

    def start(self, timeout_s: float) -> None:
        """Returns once it can be asked. Raises StorageFailure where that takes longer."""
        self._thread.start()
        if not self._ready.wait(timeout_s):
            self.close()
            raise StorageFailure(f"Ray does not start: {self._why}")

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def close(self) -> None:
        """Ends it, with all that it runs."""
        self._stopping.set()
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        if self._thread.is_alive():
            self._thread.join(2 * _END_WAIT_S)

    def _run(self) -> None:
        """The thread that starts it outlives it: a process that is to end with its parent ends with that thread."""
        pause_s = _PAUSE_FIRST_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._run_once()
            except OSError as error:
                self._why = str(error)
            if self._stopping.wait(pause_s):
                return
            _log.warning("Ray's head is started again: %s", self._why)
            pause_s = _PAUSE_FIRST_S if time.monotonic() - began_s > 60.0 else min(2 * pause_s, _PAUSE_LAST_S)

    def _run_once(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**self._own, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with self._lock:
            self._process = process
            with contextlib.suppress(OSError):
                process.stdin.write(settings_line(self._settings).encode())
                process.stdin.flush()
                if self._stopping.is_set():
                    process.stdin.close()
        try:
            with process.stdout as lines:
                for line in lines:
                    told = json.loads(line)
                    if "ready" in told:
                        self._ready.set()
                    self._why = told.get("unready", "one of its processes has ended")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_WAIT_S)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with self._lock, contextlib.suppress(OSError):
                process.stdin.close()
            process.wait()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def main(parent_pid: int) -> None:
    """The process, from its start to its end."""
    end_with(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, for the parent, which will end us
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)  # whatever else prints
        settings = RaySettings(**json.loads(sys.stdin.readline())["settings"])

        def refuse(why: str) -> None:
            replies.write(json.dumps({"unready": why}) + "\n")

        with ray_of(settings, refuse) as ray:
            own = core_processes()
            replies.write(json.dumps({"ready": ray.get_runtime_context().gcs_address}) + "\n")
            while not select.select([sys.stdin], [], [], _LOOK_S)[0]:
                if not own <= core_processes():
                    raise RayGone("one of its processes has ended")


if __name__ == "__main__":
    main(int(sys.argv[1]))
