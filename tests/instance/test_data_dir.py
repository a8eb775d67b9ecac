"""What is no folder of this machine is refused as a data directory, by every door, and nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

import lutra
from lutra.instance.data_dir import data_dir_of
from lutra.instance.engine import Engine
from lutra.instance.registry import create_instance
from lutra.instance.stopped import StoppedDirectory


@pytest.mark.parametrize("place", ["s3://bucket/prefix", "file:///x", "http://host/x", Path("s3://bucket/prefix")])
def test_a_url_is_none(place: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for open_it in (
        lutra.connect,
        Engine.open,
        StoppedDirectory,
        lambda path: create_instance(Path(path), "photos"),
    ):
        with pytest.raises(lutra.ParameterInvalid, match=r"objects='s3://bucket/prefix'"):
            open_it(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_what_means_no_folder_elsewhere_is_none(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(lutra.ParameterInvalid, match=r"lutra\.connect\(\) without a path"):
        lutra.connect(path)
    assert list(tmp_path.iterdir()) == []


def test_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with lutra.connect("~/data") as db:
        db.create_table("notes", key={"id": str})
    with lutra.connect(Path("~/data"), read_only=True) as db:
        assert db.table_names() == ["notes"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert data_dir_of("~") == tmp_path / "home"
    assert data_dir_of("~nobody/data") == Path("~nobody/data")


@pytest.mark.parametrize("path", ["data", "./a:b/c", "/x/s3:/y", "c:/data", Path("data")])
def test_any_other_path_is_one(path: str | Path) -> None:
    assert data_dir_of(path) == Path(path)
