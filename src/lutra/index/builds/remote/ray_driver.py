"""The process that talks to Ray, ``python -m lutra.index.builds.remote.ray_driver PARENT_PID``.

It is a process of its own as Ray ends a process that it is used in, where its head is gone for long, and takes 150 MB.
It ends with its parent. A line of JSON each, on stdin: ``{"settings": …}`` first, then
``{"start": [job, is quick, avoid]}`` and ``{"cancel": output}``. On stdout: ``{"ready": what there is}``,
``{"unready": why}``, ``{"task": [output, line of `lutra.index.builds.remote.task`]}``, ``{"died": [output, why]}``, and
``{"alive": true}`` while there is nothing else to tell.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any, Final

from lutra.index.builds.job import BuildJob
from lutra.index.builds.remote.ray_names import BUILDER, QUICK_BUILDER
from lutra.index.builds.remote.ray_process import RayGone, core_processes, first_line, have_ended, ray_child
from lutra.index.builds.remote.task import build_lines

_POLL_S: Final = 0.1
_ALIVE_S: Final = 2.0
_HEAD_LOOK_S: Final = 2.0
_HEAD_SILENT_S: Final = 8.0
"""Ray's head did not answer for so long: nothing new is handed to it."""
_HEAD_GONE_S: Final = 45.0
"""After so long this process ends, and is started again; Ray itself would end it after 60."""


class Driver:
    """Starts tasks and tells of them. One thread, but for those that read and look."""

    def __init__(self, replies: IO[str], ray: Any, is_own: bool) -> None:
        """``is_own``: Ray was started by this process, and is of no more use once one of its processes has ended."""
        self._replies = replies
        self._ray = ray
        self._own = core_processes() if is_own else set()
        self._node = ray.get_runtime_context().get_node_id()
        self._is_known = True
        self._commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._tasks: dict[Any, str] = {}
        self._head_seen_s = self._told_s = time.monotonic()
        self._offers: dict[str, float] = {}
        self._told_offers: dict[str, float] | None = None
        self._remote = ray.remote(_build)

    def run(self, lines: Iterator[str]) -> None:
        """Until ``lines`` end. Raises RayGone where it can ask Ray for nothing any more."""
        for work in (lambda: self._read(lines), self._look_at_head):
            threading.Thread(target=work, daemon=True).start()
        while self._obey():
            self._tell_of_head()
            self._hear()
            self._require_ray()
            if time.monotonic() - self._told_s >= _ALIVE_S:
                self._tell(alive=True)

    def _require_ray(self) -> None:
        if have_ended(self._own):
            raise RayGone("one of its processes has ended")
        if not self._is_known:
            raise RayGone("its head does not know this machine, or takes it for dead")
        if self._silent_s() >= _HEAD_GONE_S:
            raise RayGone(f"its head has not answered for {_HEAD_GONE_S:.0f} s")

    def _silent_s(self) -> float:
        return time.monotonic() - self._head_seen_s

    # --- what is asked ----------------------------------------------------------------------------------------------

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._commands.put(json.loads(line))
        self._commands.put(None)

    def _obey(self) -> bool:
        """Does what was asked; waits a moment where nothing is under way. False: nothing will be asked any more."""
        try:
            command = self._commands.get(timeout=_POLL_S if not self._tasks else 0.001)
            while command is not None:
                if "start" in command:
                    self._start(*command["start"])
                else:
                    self._cancel(command["cancel"])
                command = self._commands.get_nowait()
        except queue.Empty:
            return True
        return False

    def _start(self, job_line: str, is_quick: bool, avoid: str | None) -> None:
        job = BuildJob.from_json(job_line)
        options: dict[str, Any] = {
            "num_cpus": job.threads,
            "memory": job.memory_bytes,
            "resources": {QUICK_BUILDER if is_quick else BUILDER: 1},
            "num_returns": "streaming",
            "max_retries": 0,  # who asks begins anew, with an output of its own
            "name": "lutra build",
        }
        if avoid is not None:
            from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

            elsewhere: dict[str, Any] = {"ray.io/node-id": NotIn(avoid)}  # type: ignore[no-untyped-call]
            options["scheduling_strategy"] = NodeLabelSchedulingStrategy(hard={}, soft=elsewhere)
        self._tasks[self._remote.options(**options).remote(job_line)] = job.output

    def _cancel(self, output: str) -> None:
        for task in [task for task, name in self._tasks.items() if name == output]:
            del self._tasks[task]
            try:
                self._ray.cancel(task, force=True)
            except Exception as error:
                print(f"cancelling {output}: {error}", file=sys.stderr)

    # --- what is told -----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if not self._tasks:
            return
        tasks = list(self._tasks)
        ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=_POLL_S, fetch_local=False)
        for task in ready:
            output = self._tasks[task]
            try:
                line = self._ray.get(next(task))
            except StopIteration:
                del self._tasks[task]
                self._tell(died=[output, "it ended without a word"])
            except Exception as error:
                self._require_ray()
                del self._tasks[task]
                self._tell(died=[output, first_line(error)])
            else:
                if '"done"' in line or '"error"' in line:
                    del self._tasks[task]
                self._tell(task=[output, line])

    def _look_at_head(self) -> None:
        """In a thread of its own: Ray may not answer for long."""
        while True:
            try:
                alive = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
                self._is_known = self._node in alive
                self._offers = {
                    name: sum(offered.get(name, 0.0) for offered in alive.values()) for name in (BUILDER, QUICK_BUILDER)
                }
                self._head_seen_s = time.monotonic()
            except Exception as error:
                print(f"Ray's head: {error}", file=sys.stderr)
            time.sleep(_HEAD_LOOK_S)

    def _tell_of_head(self) -> None:
        silent_s = self._silent_s()
        if silent_s >= _HEAD_SILENT_S:
            if self._told_offers is not None:
                self._told_offers = None
                self._tell(unready=f"Ray's head has not answered for {silent_s:.0f} s")
        elif self._offers != self._told_offers and self._offers:
            self._told_offers = self._offers
            self._tell(ready=self._offers)

    def _tell(self, **reply: object) -> None:
        self._told_s = time.monotonic()
        self._replies.write(json.dumps(reply) + "\n")


def _build(job_line: str) -> Iterator[str]:
    """The task itself."""
    import ray

    yield from build_lines(job_line, ray.get_runtime_context().get_node_id())


def main(parent_pid: int) -> None:
    """The process, from its start to its end."""
    with ray_child(parent_pid) as (replies, settings, ray):
        Driver(replies, ray, settings.address is None).run(sys.stdin)


if __name__ == "__main__":
    main(int(sys.argv[1]))
