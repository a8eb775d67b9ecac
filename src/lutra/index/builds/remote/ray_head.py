"""A Ray of this machine that several processes use, ``python -m lutra.index.builds.remote.ray_head PARENT_PID``.

It ends with its parent (`lutra.cluster.ray_head`). A variable of Ray's own says at which port it is asked. On stdin:
``{"settings": …}``, and then nothing; on stdout: ``{"ready": address}`` or ``{"unready": why}``, a line of JSON each.
"""

from __future__ import annotations

import json
import select
import sys
from typing import Final

from lutra.index.builds.remote.ray_process import RayGone, core_processes, have_ended, ray_child

_LOOK_S: Final = 1.0


def main(parent_pid: int) -> None:
    """The process, from its start to its end."""
    with ray_child(parent_pid) as (replies, _, ray):
        own = core_processes()
        replies.write(json.dumps({"ready": ray.get_runtime_context().gcs_address}) + "\n")
        while not select.select([sys.stdin], [], [], _LOOK_S)[0]:
            if have_ended(own):
                raise RayGone("one of its processes has ended")


if __name__ == "__main__":
    main(int(sys.argv[1]))
