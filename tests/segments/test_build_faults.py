"""Builds that fail leave nothing, and their inputs as they were."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.faulty_store import CONTENT, Effect, FaultyStore
from support.parts import TestRow, part_of, schema_of, vector
from support.segment_rows import plain_rows
from support.stored_segments import Shelf, check_against

from lutra.model.errors import Corruption, StorageFailure
from lutra.segments.build import build_segment
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

SCHEMA = schema_of(16)
PLANS = {"v": BuildPlan(SegmentKind.GRAPH, 2, degree=6, beam=20)}


def test_two_live_documents_of_one_key_are_refused(shelf: Shelf, tmp_path: Path) -> None:
    rows = plain_rows(20, 16)
    twice = TestRow(rows[3].key, 5, {"w": vector([1, 2, 3])})
    with pytest.raises(Corruption, match=f"have the key {rows[3].key.hex()}"):
        build_segment(tmp_path / "s", [part_of(SCHEMA, rows), part_of(SCHEMA, [twice])], SCHEMA)
    assert not [name for name in os.listdir(tmp_path) if name != "objects"]
    meta = build_segment(tmp_path / "s", [part_of(SCHEMA, rows, dead=[3]), part_of(SCHEMA, [twice])], SCHEMA)
    assert meta.size == 20


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"mine")
    with pytest.raises(StorageFailure, match="is there already"):
        build_segment(tmp_path / "s", [part_of(SCHEMA, plain_rows(5, 16))], SCHEMA)
    assert (tmp_path / "s").read_bytes() == b"mine"
    with pytest.raises(StorageFailure, match="No such file"):
        build_segment(tmp_path / "none" / "s", [part_of(SCHEMA, plain_rows(5, 16))], SCHEMA)


def test_a_build_is_told_of_and_ended_at_any_report(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    reports: list[tuple[str, int, int]] = []
    part = part_of(SCHEMA, plain_rows(40, 16))
    build_segment(tmp_path / "s", [part], SCHEMA, plans=PLANS, on_progress=lambda *report: reports.append(report))
    phases = list(dict.fromkeys(phase for phase, _, _ in reports))
    assert phases[:2] == ["keys", "column of n"]
    assert phases[-3:] == ["vectors of v: calibrate", "vectors of w: check", "vectors of w: write"]
    assert phases.index("vectors of v: graph") < phases.index("vectors of v: calibrate")
    assert all(done <= total for _, done, total in reports)
    (tmp_path / "s").unlink()
    for number in range(len(reports)):
        left = number

        def stop(phase: str, done: int, total: int) -> None:
            nonlocal left
            if left == 0:
                raise Stop
            left -= 1

        with pytest.raises(Stop):
            build_segment(tmp_path / "s", [part], SCHEMA, plans=PLANS, on_progress=stop)
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.FLIPPED])
def test_an_input_that_cannot_be_read_ends_the_build(shelf: Shelf, tmp_path: Path, effect: Effect) -> None:
    rows = plain_rows(120, 16)
    name, _ = shelf.build([part_of(SCHEMA, rows)], SCHEMA, PLANS)
    before = shelf.store.get(name)
    folder = tmp_path / "target"
    folder.mkdir()
    store = FaultyStore(shelf.store, counted=CONTENT)
    with shelf.open(name, SCHEMA, store=store) as segment:
        opened = store.operations
        build_segment(folder / "s", [segment], SCHEMA, plans=PLANS)
        (folder / "s").unlink()
        reads = store.operations - opened
    assert reads > 5
    for after in range(reads):
        with shelf.open(name, SCHEMA, store=store) as segment:
            store.fail_next(effect, after=after)
            with pytest.raises(StorageFailure if effect is Effect.BEFORE else Corruption, match=name):
                build_segment(folder / "s", [segment], SCHEMA, plans=PLANS)
            store.heal()
            assert os.listdir(folder) == []
    assert shelf.store.get(name) == before
    with shelf.open(name, SCHEMA) as segment:
        check_against(segment, SCHEMA, rows)


# Files of this process may not grow beyond a limit: the kernel says so at the write that would, as a full disk does.
FULL_DISK = """
    import os, resource, signal, sys
    from support.parts import part_of, schema_of
    from support.segment_rows import plain_rows
    from lutra.model.errors import StorageFailure
    from lutra.segments.build import build_segment
    from lutra.vectors.build_plan import BuildPlan
    from lutra.vectors.layout import SegmentKind

    folder, size = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    schema = schema_of(16)
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 2, degree=6, beam=20)}
    part = part_of(schema, plain_rows(120, 16))
    failed = 0
    for limit in range(0, size + 4096, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            build_segment(folder + "/s", [part], schema, plans=plans)
        except StorageFailure as error:
            assert "File too large" in str(error) and folder in str(error), error
            assert os.listdir(folder) == [], os.listdir(folder)
            failed += 1
        else:
            assert limit >= size, limit
            os.unlink(folder + "/s")
    print(failed)
"""


def test_a_disk_that_is_full_at_any_page_leaves_nothing(tmp_path: Path) -> None:
    size_bytes = build_segment(tmp_path / "s", [part_of(SCHEMA, plain_rows(120, 16))], SCHEMA, plans=PLANS).size_bytes
    folder = tmp_path / "full"
    folder.mkdir()
    program = textwrap.dedent(FULL_DISK).replace('folder + "/s"', '__import__("pathlib").Path(folder) / "s"')
    command = [sys.executable, "-c", program, str(folder), str(size_bytes)]
    paths = os.pathsep.join(filter(None, [*sys.path, str(Path(__file__).parents[1])]))
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == size_bytes // 4096
