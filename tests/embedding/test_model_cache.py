"""Files that can be made again: kept whole, made anew when damaged, done without where there is no place for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.embedding.model_cache import cached, model_cache_folder


class Maker:
    def __init__(self, content: bytes) -> None:
        self.content, self.calls = content, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.content


def test_made_once(tmp_path: Path) -> None:
    make = Maker(b"model")
    folder = tmp_path / "a" / "b"
    assert cached("m-v1", make, folder) == b"model"
    assert cached("m-v1", make, folder) == b"model"
    assert make.calls == 1
    assert [path.name for path in folder.iterdir()] == ["m-v1"]  # nothing unfinished is left
    assert folder.stat().st_mode & 0o077 == 0
    cached("m-v2", make, folder)
    assert make.calls == 2


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    make = Maker(b"model")
    cached("m", make, tmp_path)
    whole = (tmp_path / "m").read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (tmp_path / "m").write_bytes(damaged)
        assert cached("m", make, tmp_path) == b"model"
        assert (tmp_path / "m").read_bytes() == whole
    assert make.calls == 1 + len(whole)


def test_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    make = Maker(b"model")
    assert cached("m", make, tmp_path / "file" / "folder") == b"model"
    (tmp_path / "m").mkdir()  # something else has the name
    assert cached("m", make, tmp_path) == b"model"
    assert make.calls == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "m"]


def test_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert model_cache_folder() == tmp_path / "lutra" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert model_cache_folder() == tmp_path / "home" / ".cache" / "lutra" / "models"
