"""A Ray for this machine's nodes: one for all of them, which only who has its token can ask."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from contextlib import suppress
from typing import Final

from lutra.index.builds.child import ChildModule
from lutra.index.builds.remote.ray_settings import ADDRESS, RaySettings, environment, require_ray, settings_line
from lutra.model.errors import StorageFailure

_MODULE: Final = "lutra.index.builds.remote.ray_head"
_TOLD: Final = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
_START_S: Final = 120.0
_GRACE_S: Final = 10.0


class RayHead:
    """Not running before `start`. It keeps its address and its token when it is started again.

    It ends with the thread that started it, and so with this process, however that ends.
    """

    def __init__(self, builders: int, build_memory_bytes: int, nodes: int = 0) -> None:
        """``builders``: large builds at once, each of which may take ``build_memory_bytes``. ``nodes``: so many can be
        placed there (`lutra.cluster.ray_nodes`). Raises ParameterInvalid where Ray is not installed."""
        require_ray()
        self._settings = RaySettings(None, builders, build_memory_bytes, nodes)
        self._port = _free_port()
        self._environment = environment(self._settings, os.environ) | {"RAY_GCS_SERVER_PORT": str(self._port)}
        self._child: ChildModule | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def for_nodes(self) -> dict[str, str]:
        """What a process needs in its environment to ask it; there is a secret in it."""
        return {ADDRESS: self.address, **{name: self._environment[name] for name in _TOLD}}

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_running

    @property
    def pid(self) -> int | None:
        """Of the process that started all others, and leads their session; None where none runs."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Returns when it can be asked. Raises StorageFailure where it does not come up."""
        self.stop()
        try:
            self._child = child = ChildModule(_MODULE, self._environment, stderr=subprocess.DEVNULL, leads_session=True)
        except OSError as error:
            raise StorageFailure(f"Ray cannot be started: {error.strerror}") from error
        with suppress(OSError):  # it has ended: what it said tells why
            child.write_line(settings_line(self._settings))
        why = self._first_words(child)
        if why is not None:
            self.stop()
            raise StorageFailure(f"Ray does not start: {why}")

    def stop(self) -> None:
        """With all that it has started."""
        child, self._child = self._child, None
        if child is not None:
            child.end(_GRACE_S)
            child.lines.close()

    def _first_words(self, child: ChildModule) -> str | None:
        """None once it is ready; why it is not."""
        if not select.select([child.lines], [], [], _START_S)[0]:
            return f"it said nothing for {_START_S:.0f} s"
        line = child.lines.readline()
        if not line:
            return "it ended without a word"
        told = json.loads(line)
        return None if "ready" in told else str(told.get("unready"))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
