"""A Ray for the builders of this machine's nodes: one for all of them, which only who has its token can ask."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from lutra.index.builds.builder import QUICK_BYTES
from lutra.index.builds.remote.ray_names import BUILDER, QUICK_BUILDER
from lutra.index.builds.remote.ray_settings import ADDRESS, RaySettings, environment, require_ray
from lutra.index.builds.remote.scratch import own_folder
from lutra.model.errors import StorageFailure

_TOKEN: Final = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
_OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
_START_S: Final = 60.0
_LOOK_S: Final = 0.1
_GRACE_S: Final = 10.0


class RayHead:
    """Not running before `start`. It keeps its address and its token when it is started again."""

    def __init__(self, builders: int, build_memory_bytes: int) -> None:
        """``builders``: large builds at once, each of which may take ``build_memory_bytes``. Raises ParameterInvalid
        where Ray is not installed."""
        require_ray()
        self._builders = builders
        self._build_memory_bytes = build_memory_bytes
        self._environment = environment(RaySettings(None, builders, build_memory_bytes), os.environ)
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def for_nodes(self) -> dict[str, str]:
        """What a process needs in its environment to ask it."""
        token: dict[str, str] = {name: self._environment[name] for name in _TOKEN if name in self._environment}
        return {ADDRESS: self.address, **token}

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the process that started all others, and leads their session; None where none runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Returns when it can be asked. Raises StorageFailure where it does not come up."""
        self.stop()
        folder = self._stack.enter_context(own_folder("lutra-ray", _short_folder()))
        resources = json.dumps({BUILDER: self._builders, QUICK_BUILDER: 1})
        memory_bytes = self._builders * self._build_memory_bytes + QUICK_BYTES
        options = {
            "--port": str(self._port),
            "--node-ip-address": "127.0.0.1",
            "--num-cpus": str(self._builders + 1),
            "--num-gpus": "0",
            "--resources": resources,
            "--memory": str(memory_bytes),
            "--object-store-memory": str(_OBJECT_STORE_BYTES),
            "--include-dashboard": "false",
            "--temp-dir": str(folder),
        }
        told = [part for option in options.items() for part in option]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
        with (folder / "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *told],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        until_s = time.monotonic() + _START_S
        while not _listens(self._port):
            if not self.is_running or time.monotonic() >= until_s:
                words = (folder / "start.log").read_text(errors="replace").strip().splitlines()
                self.stop()
                raise StorageFailure(f"Ray for builders did not start: {words[-1] if words else 'it said nothing'}")
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """With all that it has started."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._stack.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1.0)
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _short_folder() -> Path:
    """Paths of sockets in it have 107 characters at most."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= 12 else Path("/tmp")
