"""Builds by tasks of a real Ray of this machine: done, lost, stalled, cancelled; Ray's own processes killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pyroaring import BitMap
from support.building import job_of
from support.indexes import resources_in
from support.waiting import wait_until

from lutra.index.builds.build import run_job
from lutra.index.builds.builder import QUICK_BYTES
from lutra.index.builds.job import BuildDone, BuildInput
from lutra.index.builds.remote.builder import RemoteBuilder
from lutra.index.builds.remote.carrier import Begun, Event
from lutra.index.builds.remote.jobs import Patience
from lutra.index.builds.remote.ray_carrier import RayCarrier
from lutra.index.builds.remote.ray_settings import RaySettings, environment
from lutra.index.lsm.resources import Resources
from lutra.model.errors import Corruption, StorageFailure
from lutra.segments.deletions import write_deletions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WAIT_S = 240.0
PATIENCE = Patience(stall_s=3.0, unreachable_s=WAIT_S, queue_s=WAIT_S, hurried_queue_s=WAIT_S)
"""Ray takes long to start beside other work, and nothing is to be done otherwise meanwhile."""
SETTINGS = RaySettings(None, 1, 1 << 30)


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    opened = resources_in(tmp_path)
    yield opened
    opened.close()


@contextlib.contextmanager
def ray_builder(patience: Patience | None = None, settings: RaySettings = SETTINGS) -> Iterator[RemoteBuilder]:
    """One whose Ray is this machine's; at the end nothing is left of it."""
    before = set(psutil.Process().children(recursive=True))
    builder = RemoteBuilder(lambda tell: RayCarrier(settings, tell), patience)
    try:
        yield builder
    finally:
        builder.close()
        builder.close()
        wait_until(lambda: set(psutil.Process().children(recursive=True)) <= before)


@pytest.fixture
def builder() -> Iterator[RemoteBuilder]:
    with ray_builder(PATIENCE) as opened:
        yield opened


def ray_processes(name: str) -> list[psutil.Process]:
    """Of this process's Ray."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(name in part for part in process.cmdline()[:3]):
                found.append(process)
    return found


def builders_at_work() -> list[psutil.Process]:
    """The processes that tasks have started."""
    return [one for one in ray_processes("-m") if "lutra.index.builds.builder" in one.cmdline()]


class Stalling:
    """A job that comes to a standstill, until it is let go: then the next attempt gets through."""

    def __init__(self, resources: Resources, memory_bytes: int = QUICK_BYTES + 1) -> None:
        self._store = resources.store
        job = job_of(resources, 500, memory_bytes=memory_bytes)
        path = resources.store.local_path("pipe")
        assert path is not None
        os.mkfifo(path)
        self._held = os.open(path, os.O_RDWR)  # who reads waits for what is never written
        self._path = path
        self.job = replace(job, inputs=(BuildInput(job.inputs[0].name, "pipe"),))

    def at(self) -> psutil.Process:
        """The process that stands still, once there is one."""
        wait_until(lambda: bool(self._readers()), WAIT_S)
        (reader,) = self._readers()
        return reader

    def _readers(self) -> list[psutil.Process]:
        return [one for one in builders_at_work() if str(self._path) in _open_files(one.pid)]

    def let_go(self) -> None:
        """For who looks from now on."""
        write_deletions(self._store, "pipe", BitMap())


def _open_files(pid: int) -> set[str]:
    folder, found = Path(f"/proc/{pid}/fd"), set()
    with contextlib.suppress(OSError):
        for one in folder.iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(one))
    return found


def test_done_as_here_and_listening_on_loopback_only(resources: Resources, builder: RemoteBuilder) -> None:
    job = job_of(resources, 5_000, memory_bytes=QUICK_BYTES + 1)
    phases: set[str] = set()
    done = builder.submit(job, lambda phase, rows, total: phases.add(phase)).result(WAIT_S)
    expected = run_job(replace(job, output="here")).shape
    assert done.shape == replace(expected, name="built")
    assert resources.store.get("here") == resources.store.get("built")
    assert phases
    listening = [
        connection.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    for process in psutil.Process().children(recursive=True):
        assert not any("RAY_AUTH_TOKEN" in part for part in process.cmdline())
    resources.store.put("junk", b"x" * 10_000)
    with pytest.raises(Corruption):
        builder.submit(replace(job, output="bad", inputs=(BuildInput("junk"),))).result(WAIT_S)
    with pytest.raises(MemoryError):
        builder.submit(replace(job, output="small", memory_bytes=1)).result(WAIT_S)


@pytest.mark.parametrize("whom", ["the builder", "the worker", "raylet", "gcs_server", "the driver"])
def test_killed_in_the_middle(resources: Resources, builder: RemoteBuilder, whom: str) -> None:
    """Whoever it is: the build is done in the end, by another attempt, and nobody is left who builds."""
    stalling = Stalling(resources)
    future = builder.submit(stalling.job)
    at = stalling.at()
    stalling.let_go()
    killed = {
        "the builder": lambda: at,
        "the worker": at.parent,
        "raylet": lambda: ray_processes("raylet/raylet")[0],
        "gcs_server": lambda: ray_processes("gcs_server")[0],
        "the driver": driver,
    }[whom]()
    assert killed is not None
    killed.kill()
    done = future.result(WAIT_S)
    assert done.shape.name == "built-1"
    assert done.shape.rows == 500
    wait_until(lambda: not at.is_running() or at.status() == psutil.STATUS_ZOMBIE)
    assert builder.state.lost == 1
    again = builder.submit(replace(stalling.job, output="again")).result(WAIT_S)
    assert again.shape == replace(done.shape, name="again")


def driver() -> psutil.Process:
    (found,) = [p for p in psutil.Process().children() if "lutra.index.builds.remote.ray_driver" in p.cmdline()]
    return found


def test_a_standstill_is_begun_elsewhere(resources: Resources, builder: RemoteBuilder) -> None:
    stalling = Stalling(resources)
    future = builder.submit(stalling.job)
    at = stalling.at()
    stalling.let_go()
    assert future.result(WAIT_S).shape.name == "built-1"
    wait_until(lambda: not at.is_running())


TWO_MACHINES = """
import sys
from ray.cluster_utils import Cluster
machine = dict(num_cpus=1, resources={"lutra_builder": 1}, object_store_memory=80 << 20, temp_dir=sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
cluster.add_node(**machine)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def test_elsewhere_is_another_machine_where_there_is_one(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which Ray has two of, on this one."""
    for name, value in environment(SETTINGS, {}).items():
        monkeypatch.setenv(name, value)
    job, where = Stalling(resources).job, []

    def carrier(tell: Callable[[Event], None]) -> RayCarrier:
        def told(event: Event) -> None:
            if isinstance(event, Begun):
                where.append(event.where)
            tell(event)

        return RayCarrier(replace(SETTINGS, address=address), told)

    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # short, for sockets
        subprocess.Popen(
            [sys.executable, "-c", TWO_MACHINES, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as machines,
    ):
        assert machines.stdin is not None
        assert machines.stdout is not None
        address = machines.stdout.readline().strip()
        builder = RemoteBuilder(carrier, PATIENCE)
        try:
            with pytest.raises(StorageFailure, match="lost 3 times"):
                builder.submit(job).result(WAIT_S)
        finally:
            builder.close()
            machines.stdin.close()
    first, second, third = where
    assert first == third
    assert first != second


def test_given_up_after_some_attempts(resources: Resources, builder: RemoteBuilder) -> None:
    future = builder.submit(Stalling(resources).job)
    with pytest.raises(StorageFailure, match="lost 3 times, at last as it showed no progress for 3 s"):
        future.result(WAIT_S)
    wait_until(lambda: not builders_at_work())


def test_cancelled(resources: Resources, builder: RemoteBuilder) -> None:
    stalling = Stalling(resources)
    running = builder.submit(stalling.job)
    waiting = builder.submit(replace(stalling.job, output="second"))
    stalling.at()
    for output, future in (("second", waiting), ("built", running)):
        builder.cancel(output)
        with pytest.raises(StorageFailure, match="not wanted"):
            future.result(WAIT_S)
    wait_until(lambda: not builders_at_work())
    assert not {"built", "second"} & set(resources.store.list(""))


def test_a_quick_build_does_not_wait_for_a_large_one(resources: Resources) -> None:
    with ray_builder(PATIENCE) as builder:
        stalling = Stalling(resources)
        large = builder.submit(stalling.job)
        stalling.at()
        quick = replace(stalling.job, inputs=(BuildInput(stalling.job.inputs[0].name),), output="quick")
        done = builder.submit(replace(quick, memory_bytes=QUICK_BYTES)).result(WAIT_S)
        assert done.shape.name == "quick"
        assert not large.done()
        assert builder.state.local == 0


def test_without_ray_small_builds_go_on_and_with_it_all(resources: Resources) -> None:
    """Nobody answers at that address."""
    nowhere = RaySettings("127.0.0.1:1", 1, 1 << 30)
    with ray_builder(Patience(unreachable_s=5.0), nowhere) as builder:
        job = job_of(resources, 500, memory_bytes=QUICK_BYTES)
        large: Future[BuildDone] = builder.submit(replace(job, output="large", memory_bytes=QUICK_BYTES + 1))
        assert builder.submit(job).result(WAIT_S).shape.rows == 500
        with pytest.raises(StorageFailure, match="could not be handed over"):
            large.result(WAIT_S)
        assert not builder.state.reachable
        assert builder.state.why


def test_ends_with_its_process(resources: Resources) -> None:
    """However that ends: Ray goes with it, and who built."""
    stalling = Stalling(resources)
    program = (
        "import sys, time\n"
        "from lutra.index.builds.job import BuildJob\n"
        "from lutra.index.builds.opening import open_builder\n"
        "builder = open_builder('ray', 1 << 30)\n"
        "builder.submit(BuildJob.from_json(sys.argv[1]))\n"
        "while not builder.state.running: time.sleep(0.05)\n"
        "print(flush=True)\n"
        "time.sleep(600)\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", program, stalling.job.to_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        stalling.at()
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) > 3
        os.kill(parent.pid, signal.SIGKILL)
    # Ray's own agents look once a minute whether they are wanted.
    wait_until(lambda: not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE], WAIT_S)
