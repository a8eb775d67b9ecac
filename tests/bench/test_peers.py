"""What `python -m bench.peers` measures by, at a tiny size: rows and truth, the loopback protocol, settings, points."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from bench.peers import points
from bench.peers.data import ALL, FILTERS, Among, DataSet, K, Vectors, open_data, prepare
from bench.peers.host import Host
from bench.peers.hosted import EmbeddedLibrary, HostedLibrary
from bench.peers.memory_floor import least_mb, limited
from bench.peers.names import FAMILIES, PEERS, expanded
from bench.peers.peer import HOSTED, INSIDE, Inside, Limits, Setting, Wired, Writer
from bench.peers.points import Loaded, Point
from bench.peers.protocol import HostClient, HostWriter, connected
from bench.peers.session import Plan, Session
from bench.peers.writing import writing

ROOT = Path(__file__).parents[2]
ROWS, DIMENSION = 2_000, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return prepare(tmp_path_factory.mktemp("peers") / "data", ROWS, DIMENSION, 40, "gistlike", None, False)


class Exact:
    """A library that compares the first rows of all, as many as the setting says in percent."""

    package, takes_rows = "numpy", True

    def load(self, data: DataSet, folder: Path) -> None:
        np.savez(folder / "rows.npz", base=data.base, near=data.near)

    def build(self, data: DataSet, folder: Path, threads: int) -> str:
        self.open(folder, data.base.shape[1])
        return "rows as they are"

    def open(self, folder: Path, dimension: int) -> None:
        kept = np.load(folder / "rows.npz")
        self._base = kept["base"]
        self._columns = {"n": np.arange(len(self._base)) % 1_000, "near": kept["near"]}

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        return [[{"percent": percent} for percent in (50, 80, 97, 100)]]

    def search(self, query: Vectors, k: int, setting: Setting, among: Among | None) -> Sequence[int]:
        if setting["percent"] > 100:
            raise ValueError("there are no more than all rows")
        distances = ((self._base - query) ** 2).sum(axis=1)
        distances[len(self._columns["n"]) * int(setting["percent"]) // 100 : len(self._columns["n"])] = np.inf
        if among is not None:
            distances[: len(self._columns["n"])][self._columns[among.column] >= among.below] = np.inf
        nearest = np.argsort(distances, kind="stable")[:k]
        return [int(number) for number in nearest if np.isfinite(distances[number])]

    def write(self, first: int, vectors: Vectors) -> None:
        assert first == len(self._base)
        self._base = np.concatenate([self._base, vectors])


@contextmanager
def serving(data: DataSet, folder: Path) -> Iterator[int]:
    """The port of a host that runs in threads of this process."""
    folder.mkdir(exist_ok=True)
    host = Host(Exact(), folder, data.folder)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    end, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=host.serve, args=(end,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def port(data: DataSet, tmp_path: Path) -> Iterator[int]:
    with serving(data, tmp_path / "exact") as port:
        with connected(port, 30) as exchange:
            exchange.call({"op": "load"})
            assert exchange.call({"op": "build"})[1] == b"rows as they are"
        yield port


def nearest(data: DataSet, query: int, passing: np.ndarray) -> list[int]:
    distances = np.where(passing, ((data.base.astype(np.float64) - data.queries[query]) ** 2).sum(axis=1), np.inf)
    return [int(one) for one in np.argsort(distances, kind="stable")[:K] if np.isfinite(distances[one])]


# --- rows and truth ---------------------------------------------------------------------------------------------------


def test_rows_have_unit_length_and_are_the_same_when_opened_again(data: DataSet) -> None:
    assert np.allclose(np.linalg.norm(data.base, axis=1), 1, atol=1e-5)
    assert data.is_unit
    again = open_data(data.folder)
    assert again.title == data.title
    assert np.array_equal(again.truth["all"], data.truth["all"])
    assert "seed 0" in data.title
    assert "intrinsic dimension" in data.title


@pytest.mark.parametrize("among", [ALL, *FILTERS], ids=lambda among: among.name)
def test_truth_is_that_of_brute_force_among_the_rows_that_pass(data: DataSet, among: Among) -> None:
    columns = {"": np.zeros(ROWS), "n": np.arange(ROWS) % 1_000, "near": data.near}
    passing = columns[among.column] < among.below
    assert abs(passing.mean() - among.share) < 0.001
    for query in range(10):
        wanted = nearest(data, query, passing)
        told = data.truth[among.name][query].tolist()
        assert sorted(told[: len(wanted)]) == sorted(wanted)
        assert told[len(wanted) :] == [-1] * (K - len(wanted))


def test_the_correlated_column_is_of_neighbours_in_space(data: DataSet) -> None:
    distances = ((data.base - data.base[0]) ** 2).sum(axis=1)
    assert distances[data.near < 100].max() <= distances[data.near >= 100].min() + 1e-6


def test_recall_counts_written_rows_that_are_near_enough(data: DataSet) -> None:
    truth = data.truth["all"][0].tolist()
    assert data.recall([(0, truth)], ALL) == 1
    assert data.recall([(0, truth[:5])], ALL) == 0.5
    distances = ((data.written - data.queries[0]) ** 2).sum(axis=1)
    far = len(data.base) + int(np.argmax(distances))
    assert data.recall([(0, [*truth[:9], far])], ALL) == pytest.approx(0.9)
    near = np.flatnonzero(distances <= data.tenth[0])
    if len(near):
        assert data.recall([(0, [*truth[:9], len(data.base) + int(near[0])])], ALL) == 1


def test_another_data_set_in_the_same_folder_is_refused(data: DataSet) -> None:
    with pytest.raises(SystemExit, match="has other data"):
        prepare(data.folder, ROWS + 1, DIMENSION, 40, "gistlike", None, False)


def test_a_file_of_ann_benchmarks(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(3)
    path = tmp_path / "little-8-euclidean.hdf5"
    with h5py.File(path, "w") as file:
        file["train"] = 5 * rng.random((400, 8), dtype=np.float32)
        file["test"] = 5 * rng.random((20, 8), dtype=np.float32)
    made = prepare(tmp_path / "data", 10_000, 0, 20, "gistlike", path, False)
    assert made.base.shape == (380, 8)  # a twentieth is left for the writer
    assert len(made.written) == 20
    assert not made.is_unit
    assert sorted(made.truth["all"][0].tolist()) == sorted(nearest(made, 0, np.ones(380, bool)))


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_searches_over_loopback_find_what_brute_force_finds(data: DataSet, port: int) -> None:
    for among in (ALL, *FILTERS):
        with HostClient(port, among, {"percent": 100}).connect() as search:
            found = [(number, search(query)) for number, query in enumerate(data.queries)]
        assert data.recall(found, among) == 1


def test_an_error_of_the_library_is_told_and_the_connection_goes_on(data: DataSet, port: int) -> None:
    head = {"op": "search", "k": K}
    with connected(port, 30) as exchange:
        with pytest.raises(RuntimeError, match="ValueError: there are no more than all rows"):
            exchange.call(head | {"percent": 101}, data.queries[0].tobytes())
        _, body = exchange.call(head | {"percent": 100}, data.queries[0].tobytes())
        assert np.frombuffer(body, np.int64).tolist() == data.truth["all"][0].tolist()


def test_written_rows_are_found(data: DataSet, port: int) -> None:
    with HostWriter(port).connect() as put:
        put(len(data.base), data.written[:50])
    with HostClient(port, ALL, {"percent": 100}).connect() as search:
        assert search(data.written[7])[0] == len(data.base) + 7


def test_threads_of_the_host_ask_by_themselves(data: DataSet, port: int, tmp_path: Path) -> None:
    hosted = HostedLibrary(Exact(), tmp_path, os.getpid(), port, Limits(100, 100, 60))
    inside = EmbeddedLibrary(hosted, port)
    assert isinstance(inside, Inside)
    assert not isinstance(inside, Wired)
    run = inside.ask(ALL, {"percent": 100}, data.queries_path, 3, 60, 25)
    assert run.searches == 75
    assert data.recall(run.found, ALL) == 1
    assert {query for query, _ in run.found} == set(range(40))  # each thread begins elsewhere


def test_a_writer_keeps_its_rate_and_tells_what_it_wrote(data: DataSet, port: int) -> None:
    with writing(HostWriter(port), data.folder / "written.npy", len(data.base), 1_000) as written:
        time.sleep(0.5)
    assert 200 <= written.rows <= 800
    assert written.rows_per_s < 1_100


# --- a run ------------------------------------------------------------------------------------------------------------


class ExactPeer:
    """`Exact` as a peer, in this process."""

    name = "exact"

    def __init__(self, door: str) -> None:
        self.door = door

    def version(self) -> str:
        return "1"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[HostedLibrary | EmbeddedLibrary]:
        with serving(data, folder) as port:
            hosted = HostedLibrary(Exact(), folder, os.getpid(), port, limits)
            yield EmbeddedLibrary(hosted, port) if self.door == INSIDE else hosted


PLAN = Plan(
    targets=(0.7, 0.95, 0.99),
    clients=(1, 2),
    filter_clients=(1,),
    writer_clients=1,
    writer_rate=500,
    seconds=0.05,
    tuning_queries=20,
    tuning_s=5,
    peer_s=60,
    memory_floor=False,
)


@pytest.mark.parametrize("door", [pytest.param(HOSTED, marks=pytest.mark.slow), INSIDE])
def test_a_run_measures_all_that_is_asked_for(data: DataSet, tmp_path: Path, door: str) -> None:
    path = tmp_path / "points.json"
    with Progress(disable=True) as progress:
        Session(data, tmp_path, PLAN, Limits(100, 100, 60), path, progress).measure(ExactPeer(door))
    measured = points.read(path)
    asked = [(one.filter, one.target, one.clients, one.writer_rows_per_s is not None) for one in measured]
    assert asked == [
        *[("all", target, clients, False) for target in PLAN.targets for clients in PLAN.clients],
        *[(among.name, 0.95, 1, False) for among in FILTERS],
        ("all", 0.95, 1, True),
    ]
    for one in measured[:-1]:
        assert one.is_reached
        assert one.recall >= one.target - 0.1
        assert one.qps > 0
        assert one.p50_ms <= one.p99_ms
    # The least that reaches each: half the rows hold half of the neighbours.
    percents = [one.parameters["percent"] for one in measured if one.filter == "all" and one.clients == 1]
    assert percents[0] == 80
    assert percents[:3] == sorted(percents[:3])
    assert percents[2] == 100
    loaded = measured[0].loaded
    assert (loaded.door, loaded.rows, loaded.dim, loaded.about) == (door, ROWS, DIMENSION, "rows as they are")
    assert loaded.disk_mb > 0
    assert not (tmp_path / "exact" / "loaded.json").exists()  # a writer has changed the rows: they are loaded anew


def test_a_folder_of_somebody_else_is_left_alone(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "exact").mkdir()
    (tmp_path / "exact" / "letter.txt").write_text("mine")
    with Progress(disable=True) as progress, pytest.raises(SystemExit, match="not of this benchmark"):
        Session(data, tmp_path, PLAN, Limits(100, 100, 60), None, progress).measure(ExactPeer(HOSTED))
    assert (tmp_path / "exact" / "letter.txt").read_text() == "mine"


def test_a_setting_that_reaches_nothing_is_said_to(data: DataSet, tmp_path: Path) -> None:
    class Half(ExactPeer):
        @contextmanager
        def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[HostedLibrary | EmbeddedLibrary]:
            with super().run(folder, data, limits) as running:
                running.ways = lambda among: [] if among.column else [[{"percent": 50}]]  # type: ignore[method-assign]
                running.writer = _nobody  # type: ignore[method-assign]
                yield running

    with Progress(disable=True) as progress:
        session = Session(data, tmp_path, PLAN, Limits(100, 100, 60), None, progress)
        session.measure(Half(INSIDE))
    assert [one.is_reached for one in session.points] == [False] * 6
    assert {one.filter for one in session.points} == {"all"}  # it cannot filter
    assert (tmp_path / "exact" / "loaded.json").exists()  # nobody wrote: the next run has it loaded


def _nobody() -> Writer | None:
    return None


# --- memory -----------------------------------------------------------------------------------------------------------

GREEDY = "import time; time.sleep(0.3); print(len(bytearray(300_000_000)))"


@pytest.mark.parametrize(("size_bytes", "status"), [(200_000_000, 1), (600_000_000, 0)])
def test_what_is_started_has_no_more_memory_than_it_may(size_bytes: int, status: int) -> None:
    with limited(size_bytes) as has_started:
        process = subprocess.Popen([sys.executable, "-c", GREEDY], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, told = process.communicate(timeout=60)
        has_started()
    assert process.returncode == status, told
    assert (b"MemoryError" in told) == bool(status)


def test_the_least_memory_is_that_before_the_first_failure() -> None:
    asked = []

    def works(size_mb: int) -> bool:
        asked.append(size_mb)
        return size_mb >= 70

    assert least_mb(100, works) == 75
    assert asked == [800, 600, 400, 300, 200, 150, 100, 75, 50]
    assert least_mb(5, works) is None


# --- points and names -------------------------------------------------------------------------------------------------

LOADED = Loaded("lutra", "wire", "Lutra 1", "1 segment", "rows", 10, 2, 1.5, 1.0, 2.5, 2.0, 3.25, 0.5)
POINT = Point("lutra", {"target": 0.95}, 0.96, 100, 1, 2, 8, "all", 0.95, True, 64, 0.5, LOADED, "command", 1, 2)


def test_points_are_a_list_of_flat_objects_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    told = [POINT, replace(POINT, filter="chance 1 %", writer_rows_per_s=480.0, writer_wanted_per_s=500.0)]
    points.write(told, path)
    assert points.read(path) == told
    for one in json.loads(path.read_text()):
        names = ("engine", "parameters", "recall", "qps", "p50_ms", "p99_ms", "clients", "filter")
        assert set(names) | {"load_s", "build_s", "resident_mb", "disk_mb"} <= set(one)
    shown = io.StringIO()
    points.show(told, Console(file=shown, width=200))
    assert "480" in shown.getvalue()


def test_what_is_no_list_of_points_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_text('[{"engine": "lutra"}]')
    with pytest.raises(ValueError, match=r"does not hold points of bench\.peers"):
        points.read(path)


def test_names_and_families() -> None:
    assert expanded("lutra,pgvector,pgvector-flat") == ["lutra", *FAMILIES["pgvector"]]
    assert set(expanded("all")) == set(PEERS)
    assert all(set(members) <= set(PEERS) for members in FAMILIES.values())
    assert all(make().name == name for name, make in PEERS.items())
    with pytest.raises(ValueError, match="no such engine: oracle"):
        expanded("lutra,oracle")


@pytest.mark.slow
def test_lutra_by_its_server_and_in_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.peers", "--rows", "2000", "--dim", "16", "--queries", "50", "--work"]
    command += [str(tmp_path), "--engines", "lutra,lutra-embedded", "--seconds", "0.3", "--clients", "1,2"]
    path = tmp_path / "points.json"
    done = subprocess.run([*command, "--json", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    measured = points.read(path)
    assert {one.engine for one in measured} == {"lutra", "lutra-embedded"}
    assert all(one.is_reached and one.recall >= 0.9 for one in measured)
    assert {one.filter for one in measured} == {"all", *(among.name for among in FILTERS)}
    assert sum(one.writer_rows_per_s is not None for one in measured) == 2
    assert all(one.resident_mb > 20 and one.loaded.disk_mb > 0 for one in measured)
    assert list(tmp_path.iterdir()) == [path]  # nothing is left
