"""A process that uses Ray: what it starts, how it sees that it is gone, and how it ends then."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from lutra.index.builds.child import child_of
from lutra.index.builds.remote.ray_settings import RaySettings, arguments, settings_of
from lutra.index.builds.remote.scratch import own_folder
from lutra.kernels.process_stat import NAME, PARENT, STATE, stat_fields

_FOLDER: Final = "lutra-ray"
_PATH_MAX: Final = 12
_CORE: Final = ("gcs_server", "raylet")


class RayGone(Exception):
    """This process can do no more: another may."""


@contextmanager
def ray_child(parent_pid: int) -> Iterator[tuple[IO[str], RaySettings, Any]]:
    """Of a process that is to use Ray as the first line on its stdin says: what takes its replies, what was said, and
    Ray. Ends the process as `_ray_of`, after a reply that says why."""
    with child_of(parent_pid) as replies:
        settings = settings_of(sys.stdin.readline())

        def refuse(why: str) -> None:
            replies.write(json.dumps({"unready": why}) + "\n")

        with _ray_of(settings, refuse) as ray:
            yield replies, settings, ray


@contextmanager
def _ray_of(settings: RaySettings, refuse: Callable[[str], None]) -> Iterator[Any]:
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
        fields = stat_fields(pid)
    except OSError:  # it has ended
        return False
    return fields[NAME] in _CORE and fields[STATE] not in "ZX" and int(fields[PARENT]) == os.getpid()


def first_line(error: Exception) -> str:
    """What it is, in a line."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def _short_folder() -> Path:
    """Paths of sockets, 60 characters below it, have 107 at most."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= _PATH_MAX else Path("/tmp")
