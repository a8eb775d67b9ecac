"""A directory that had tables once is never taken for a new one, by nobody."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lutra
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory
from lutra.instance.stopped import StoppedDirectory
from lutra.model.errors import Corruption, ForeignObjects, LutraError, StorageFailure


def content(path: Path) -> dict[str, bytes | None]:
    return {
        str(file.relative_to(path)): file.read_bytes() if file.is_file() else None
        for file in sorted(path.rglob("*"))
        if not file.name.startswith(("LOG", "LOCK"))
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with lutra.connect(tmp_path / "data") as database:
        table = database.create_table("t", {"id": int}, {"n": int})
        table.put_many([{"id": n, "n": n} for n in range(50)])
        assert len(table.search(limit=100)) == 50
    return tmp_path / "data"


def read(path: Path) -> int:
    with lutra.connect(path) as database:
        return len(list(database.table("t").scan()))


def mend(path: Path) -> None:
    StoppedDirectory(path, is_to_be_mended=True).close()


OPENERS: list[Callable[[Path], object]] = [check_directory, mend, read, check_directory, read, Engine.open]


@pytest.mark.parametrize("lost", ["kv", "kv/CURRENT", "kv/*.log", "kv/*.sst", "kv/MANIFEST-*", "kv/*"])
def test_what_was_lost_is_told_and_nothing_is_changed(lost: str, data: Path) -> None:
    for path in data.glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = content(data)
    for opener in OPENERS:
        with pytest.raises(Corruption, match="estore a backup; to begin anew"):
            opener(data)
        assert content(data) == before


def test_the_store_of_a_cluster_is_no_data_directory(tmp_path: Path) -> None:
    for name in ("cluster", "map/00000000000000000001"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    before = content(tmp_path)
    with pytest.raises(ForeignObjects, match="lutra node --store"):
        Engine.open(tmp_path)
    assert content(tmp_path) == before


def test_a_check_changes_nothing(data: Path) -> None:
    before = content(data) | {name: (data / "kv" / name).read_bytes() for name in os.listdir(data / "kv")}
    assert check_directory(data) == []
    after = content(data) | {name: (data / "kv" / name).read_bytes() for name in os.listdir(data / "kv")}
    assert after == before
    assert read(data) == 50


def test_what_is_new_is_made(tmp_path: Path) -> None:
    """Also where somebody has made folders for what is to come."""
    (tmp_path / "data" / "objects").mkdir(parents=True)
    (tmp_path / "data" / "instances").mkdir()
    Engine.open(tmp_path / "data").close()
    Engine.open(tmp_path / "a" / "b" / "c").close()
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(LutraError, match="no data directory"):
            check_directory(path)
    assert not (tmp_path / "none").exists()


def test_the_entries_of_a_new_directory_are_on_stable_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    Engine.open(tmp_path / "a" / "b").close()
    assert {str(tmp_path / part) for part in ("", "a", "a/b", "a/b/kv")} <= set(synced)
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailure, match="cannot use"):
        Engine.open(tmp_path / "file")
