"""A node as a process of this machine: started, heard, stopped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lutra.model.errors import StorageFailure

WRONG_OPTIONS: Final = 2
"""The status of a node that cannot run as it was told to: to start it again would change nothing."""
_END_S: Final = 10.0
"""Who has closed its end of the pipe is about to end."""
_LISTENING: Final = re.compile(r"listening on (http://\S+)")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node is told. ``builders``: as `lutra node` takes them; empty: as it does where nothing is said."""

    store: str
    name: str
    host: str = "127.0.0.1"
    port: int = 0
    memory_limit: str | None = None
    memory_mb: int | None = None
    builders: str = ""
    log_level: str = "warning"

    @property
    def command(self) -> list[str]:
        """That runs it."""
        options = {
            "--store": self.store,
            "--name": self.name,
            "--host": self.host,
            "--port": str(self.port),
            "--log-level": self.log_level,
            **({} if self.memory_limit is None else {"--memory-limit": self.memory_limit}),
            **({} if self.memory_mb is None else {"--memory-mb": str(self.memory_mb)}),
            **({"--builders": self.builders} if self.builders else {}),
        }
        told = [part for option in options.items() for part in option]
        return [sys.executable, "-m", "lutra.cli.main", "node", *told]


class NodeProcess:
    """One run of a node. Its log goes where this process's goes. Thread-safe."""

    def __init__(
        self,
        settings: NodeSettings,
        *,
        environment: Mapping[str, str] | None = None,
        on_listening: Callable[[str], None] = lambda endpoint: None,
    ) -> None:
        """Starts it. ``environment``: beside this process's own. ``on_listening`` is called with its endpoint, by a
        thread, once it takes requests. Raises StorageFailure where the machine cannot start a process."""
        self.settings = settings
        self.started_s = time.monotonic()
        self._on_listening = on_listening
        self._listening = threading.Event()
        self._endpoint: str | None = None
        try:
            self._process = subprocess.Popen(
                settings.command,
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                # Ctrl-C in a terminal is for who started it, who stops all nodes in good order.
                start_new_session=True,
            )
        except OSError as error:
            raise StorageFailure(f"node {settings.name} cannot be started: {error.strerror}") from error
        self._reader = threading.Thread(target=self._hear, name=f"lutra-node-{settings.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """With which it ended; None while it runs."""
        return self._process.poll()

    @property
    def is_starting(self) -> bool:
        """Whether it has neither come to take requests nor ended."""
        return not self._listening.is_set()

    def wait_listening(self, timeout_s: float) -> str:
        """Its endpoint. Raises StorageFailure where it ended before, or it takes longer."""
        has_said_all = self._listening.wait(timeout_s)
        if self._endpoint is None:
            status = self.wait(_END_S) if has_said_all else self.status
            raise StorageFailure(
                f"node {self.settings.name} does not take requests after {timeout_s:g} s: its log says why"
                if status is None
                else f"node {self.settings.name} ended with status {status} as it started: its log says why"
            )
        return self._endpoint

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The status with which it ended; None where it runs on."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Has it stop in good order: answer what is under way, hand over what it has. Returns at once."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, grace_s: float) -> None:
        """As `terminate`, waits for it, and kills it after ``grace_s``."""
        self.terminate()
        if self.wait(grace_s) is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _hear(self) -> None:
        """Reads what it says to the end: a full pipe would stop it."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                found = _LISTENING.search(line.decode("utf-8", "replace"))
                if found is not None and self._endpoint is None:
                    self._endpoint = found[1]
                    self._listening.set()
                    self._on_listening(found[1])
        self._listening.set()
