"""What this machine remembers of the clusters whose nodes it runs: who supervises them, and where they log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lutra.cluster.process import Process
from lutra.model.errors import StorageFailure

_SUPERVISOR: Final = "supervisor.json"


class LocalState:
    """A folder for one cluster: ``$XDG_STATE_HOME/lutra/CLUSTER``, or below ``~/.local/state``."""

    def __init__(self, cluster_id: str, environment: Mapping[str, str] = os.environ) -> None:
        home = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        self.folder = Path(home) / "lutra" / cluster_id

    @property
    def log(self) -> Path:
        """Of a supervisor that runs in the background, and of its nodes."""
        return self.folder / "cluster.log"

    def make(self) -> None:
        """Raises StorageFailure."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailure(f"cannot use {self.folder}: {error.strerror}") from error

    def supervisor(self) -> Process | None:
        """That of this machine which runs at this moment."""
        found = Process.read(self.folder / _SUPERVISOR)
        return found if found is not None and found.is_running else None

    def take(self) -> None:
        """This process supervises from now on. Raises StorageFailure, also where another does."""
        self.make()
        other = self.supervisor()
        if other is not None and other != Process.this():
            raise StorageFailure(
                f"the cluster's nodes of this machine run already, kept by process {other.pid}: `lutra cluster down` "
                "stops them"
            )
        try:
            Process.this().write(self.folder / _SUPERVISOR)
        except OSError as error:
            raise StorageFailure(f"cannot write {self.folder / _SUPERVISOR}: {error.strerror}") from error

    def give_back(self) -> None:
        """It does no more."""
        if self.supervisor() == Process.this():
            (self.folder / _SUPERVISOR).unlink(missing_ok=True)
