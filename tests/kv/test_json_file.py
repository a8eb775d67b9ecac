"""Files of JSON come into their place whole, and what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.kv.json_file import read_json, remove_json, write_json
from lutra.model.errors import StorageFailure


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    path = tmp_path / "above" / "state.json"
    assert read_json(path) is None
    for content in ({"at": 1, "name": "河"}, [1, 2]):
        write_json(path, content)
        assert read_json(path) == content
    assert [one.name for one in path.parent.iterdir()] == ["state.json"], "nothing is left of the writing"
    remove_json(path)
    remove_json(path)
    assert read_json(path) is None


@pytest.mark.parametrize("damage", [b"", b'{"at": 1', b"null", b"\xff\xfe"])
def test_damage_is_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(damage)
    with pytest.raises(ValueError, match="is damaged"):
        read_json(path)


def test_what_the_disk_refuses_is_told_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure, match=r"cannot write .*state\.json"):
        write_json(tmp_path / "file" / "state.json", {})
    with pytest.raises(StorageFailure, match=r"cannot read .*file"):
        read_json(tmp_path / "file" / "state.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageFailure, match=r"cannot remove .*folder"):
        remove_json(tmp_path / "folder")
