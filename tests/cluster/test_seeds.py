"""A cluster lives through what a seed says: kills, stalls, cuts, leaves, lost answers; and comes right in the end.

Along the way nobody is sure of a partition that another is sure of, and who answers a read knows all that was
acknowledged before. In the end every partition has one owner, with every acknowledged row once, all of them in its
index, and nothing lies about that nobody names.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.simulation.fenced_rows import FencedRows
from support.simulation.seeded import Simulation

from lutra.cluster.node_lease import NodeLease
from lutra.index.lsm.storage import IndexStorage

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nodes warn of each partition that they cannot open."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


def lived(seed: int, seconds: float = 25.0) -> Simulation:
    simulation = Simulation(seed)
    try:
        simulation.run(seconds)
    except AssertionError as error:
        error.add_note(f"of seed {seed}, at second {simulation.now_s - 100:.1f}")
        raise
    return simulation


def test_thirty_seeds() -> None:
    counts: dict[str, int] = {}
    for seed in range(30):
        for kind, number in lived(seed).counts.items():
            counts[kind] = counts.get(kind, 0) + number
    assert all(counts[kind] > 5 for kind in ("kill", "stall", "cut off", "leave", "restart")), counts
    assert counts["written"] > 2_000
    assert counts["read"] > 1_500


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, 1000, 50))
def test_a_thousand_seeds(first: int) -> None:
    for seed in range(first, first + 50):
        lived(1_000 + seed, 60.0)


def test_the_same_seed_comes_to_the_same_end_in_any_process() -> None:
    code = "from support.simulation.seeded import Simulation as S; s = S(7); s.run(25.0); print(s.end)"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout.strip()
    assert other == lived(7).end
    assert other != lived(8).end


def test_a_graceful_stop_of_each_node_under_load_loses_nothing() -> None:
    """One after the other leaves and comes back, while clients write; nothing else happens."""
    for seed in range(3):
        simulation = Simulation(seed, faults=0.0)
        simulation.troubles = ("leave",)
        simulation.run(25.0)
        assert simulation.counts["leave"] > 3
        assert simulation.counts["written"] > 50


# --- the simulation bites ---------------------------------------------------------------------------------------------


def violated(seeds: int) -> str:
    for seed in range(seeds):
        try:
            lived(seed)
        except AssertionError as error:
            return str(error)
    raise AssertionError(f"{seeds} seeds found nothing")


def test_a_node_that_never_stops_being_sure_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = NodeLease._confirm

    def confirm_for_long(lease: NodeLease, names: list[str]) -> None:
        confirm(lease, names)
        if lease._sure_until_s is not None:
            lease._sure_until_s += 30.0

    monkeypatch.setattr(NodeLease, "_confirm", confirm_for_long)
    assert "is open in" in violated(10)


def test_rows_that_are_put_over_others_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the store had no conditional put: an old owner's last write takes the place of its successor's first."""

    def put(rows: FencedRows, row: bytes) -> bool:
        rows._store.put(f"{rows._folder}/{rows._number:06d}", rows._sign + b"\n" + row)
        rows._number += 1
        return True

    monkeypatch.setattr(FencedRows, "_put", put)
    assert "does not know" in violated(30)  # a read, after what was acknowledged before it


def test_an_index_that_collects_what_the_newest_manifest_names_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(storage: IndexStorage, kept: set[str]) -> None:
        for name in sorted(storage._named[-1])[:1]:
            storage.store.delete(storage.full(name))

    monkeypatch.setattr(IndexStorage, "collect", collect)
    assert "nobody has" in violated(3)  # what cannot be read cannot be opened
