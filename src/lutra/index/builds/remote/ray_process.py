"""A process that uses Ray: what it starts, how it sees that it is gone, and how it ends then."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lutra.index.builds.remote.ray_settings import RaySettings, arguments
from lutra.index.builds.remote.scratch import own_folder

_FOLDER: Final = "lutra-ray"
_PATH_MAX: Final = 12
_CORE: Final = ("gcs_server", "raylet")
_STATUS: Final = re.compile(r"\((.*)\) (\S) (\d+) ")
"""Of ``/proc/PID/stat`` (proc(5)): command, state, parent."""


class RayGone(Exception):
    """This process can do no more: another may."""


@contextmanager
def ray_of(settings: RaySettings, refuse: Callable[[str], None]) -> Iterator[Any]:
    """Ray, which is started where ``settings`` name none. Ends the process, after ``refuse`` has been told why, where
    that cannot be had, or RayGone is raised within."""
    with own_folder(_FOLDER, _short_folder()) as folder:
        try:
            import ray

            ray.init(**arguments(settings, str(folder)))
        except Exception as error:
            refuse(f"{settings.name} cannot be reached: {first_line(error)}")
            raise SystemExit(1) from error
        try:
            yield ray
        except RayGone as error:
            refuse(f"{settings.name} is gone: {error}")
            os._exit(1)  # it would be waited for; whoever started this process ends what is left
        ray.shutdown()


def core_processes() -> set[int]:
    """Of Ray's processes that this one has started those that it cannot do without, and that live."""
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_core(pid)}


def have_ended(core: set[int]) -> bool:
    """Whether one of `core_processes` has, as they were right after the start."""
    return not all(map(_is_core, core))


def _is_core(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as status:
            found = _STATUS.search(status.read())
    except OSError:  # it has ended
        return False
    return found is not None and found[1] in _CORE and found[2] not in "ZX" and int(found[3]) == os.getpid()


def first_line(error: Exception) -> str:
    """What it is, in a line."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def _short_folder() -> Path:
    """Paths of sockets, 60 characters below it, have 107 at most."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= _PATH_MAX else Path("/tmp")
