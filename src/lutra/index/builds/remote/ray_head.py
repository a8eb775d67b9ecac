"""A Ray of this machine that several processes use, ``python -m lutra.index.builds.remote.ray_head PARENT_PID``.

It ends with its parent (`lutra.cluster.ray_head`). A variable of Ray's own says at which port it is asked. On stdin:
``{"settings": …}``, and then nothing; on stdout: ``{"ready": address}`` or ``{"unready": why}``, a line of JSON each.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Final

from lutra.index.builds.remote.ray_process import RayGone, core_processes, have_ended, ray_of
from lutra.index.builds.remote.ray_settings import RaySettings
from lutra.index.builds.worker import end_with

_LOOK_S: Final = 1.0


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
                if have_ended(own):
                    raise RayGone("one of its processes has ended")


if __name__ == "__main__":
    main(int(sys.argv[1]))
