"""What opening the resources of indexes deletes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.index.lsm.resources import Resources
from lutra.model.errors import ParameterInvalid
from lutra.objects.store import ObjectStore


def test_only_what_builds_left_is_deleted(tmp_path: Path) -> None:
    """Who says ``--data .`` may have a folder of that name, with notes in it."""
    scratch = tmp_path / "scratch"
    build = scratch / ("0" * 31 + "a")
    build.mkdir(parents=True)
    (build / "segment").write_bytes(b"half")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"1")
    (scratch / f"{'d' * 32}-2").mkdir()  # of an attempt
    (scratch / ("b" * 32)).symlink_to(outside)
    (scratch / ("c" * 32)).write_bytes(b"a file")
    (scratch / "notes").mkdir()
    (scratch / "notes" / "a.txt").write_bytes(b"2")
    Resources.open(str(tmp_path / "objects"), scratch, 1 << 24).close()
    assert sorted(entry.name for entry in scratch.iterdir()) == ["b" * 32, "c" * 32, "notes"]
    assert (outside / "mine").exists()
    assert (scratch / "notes" / "a.txt").exists()


def test_a_place_is_examined_before_anything_is_changed(tmp_path: Path) -> None:
    def examine(objects: ObjectStore) -> None:
        assert objects.list("") == []
        raise ParameterInvalid("not here")

    (tmp_path / "scratch" / ("0" * 32)).mkdir(parents=True)
    with pytest.raises(ParameterInvalid, match="not here"):
        Resources.open(str(tmp_path / "objects"), tmp_path / "scratch", 1 << 24, examine)
    assert not (tmp_path / "objects").exists()
    assert (tmp_path / "scratch" / ("0" * 32)).is_dir()
