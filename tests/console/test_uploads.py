from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import wait_until

from lutra.console.uploads import REJECTED, Upload, UploadFile, Uploads, safe_name, sweep_uploads
from lutra.model.errors import ObjectNotExist, ParameterInvalid, ServerBusy


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, count_max=2)


def sent(uploads: Uploads, name: str = "people.csv", content: bytes = b"id\n1\n") -> Upload:
    upload = uploads.begin("test", name)
    with UploadFile(uploads, upload) as file:
        file.write(content)
    return upload


def test_a_file_is_there_once_it_is_whole(uploads: Uploads) -> None:
    upload = uploads.begin("test", "people.csv")
    with UploadFile(uploads, upload) as file:
        file.write(b"id,name\n")
        with pytest.raises(ObjectNotExist):
            uploads.get(upload.id, "test")
        file.write(b"1,Ann\n")
    assert uploads.get(upload.id, "test") is upload
    assert (upload.path.name, upload.path.read_bytes(), upload.size_bytes) == ("people.csv", b"id,name\n1,Ann\n", 14)
    with pytest.raises(ObjectNotExist):
        uploads.get(upload.id, "other")


def test_what_broke_off_is_gone(uploads: Uploads, tmp_path: Path) -> None:
    upload = uploads.begin("test", "people.csv")
    file = UploadFile(uploads, upload)
    file.write(b"id")
    with pytest.raises(FileExistsError), file:
        upload.folder.mkdir()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_empty_file_is_refused(uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(ParameterInvalid), UploadFile(uploads, uploads.begin("test", "people.csv")):
        pass
    assert list((tmp_path / "uploads").iterdir()) == []


def test_there_are_so_many_at_once(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, count_max=2)
    first = sent(uploads)
    second = sent(uploads)
    with pytest.raises(ServerBusy):
        sent(uploads)
    uploads.drop(second)
    third = sent(uploads)
    third.rejected_path.write_text("{}\n")
    uploads.spend(third)
    assert (third.path.exists(), third.rejected_path.exists()) == (False, True)
    sent(uploads)  # the rejected rows of one that is imported take nobody's room
    assert uploads.get(first.id, "test") is first


def test_idle_ones_make_room_and_those_in_use_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, count_max=2, idle_s=60.0)
    held = sent(uploads)
    uploads.hold(held)
    idle = sent(uploads)
    idle.used_s = held.used_s = time.monotonic() - 61
    sent(uploads)
    assert held.path.exists()
    assert not idle.folder.exists()


def test_what_nobody_comes_back_for_goes_by_itself(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, idle_s=0.05)
    held = sent(uploads)
    uploads.hold(held)
    idle = sent(uploads)
    wait_until(lambda: not idle.folder.exists())
    assert held.path.exists()
    uploads.release(held)
    wait_until(lambda: not held.folder.exists())
    uploads.close()


def test_spent_without_rejected_rows_nothing_is_left(uploads: Uploads) -> None:
    upload = sent(uploads)
    uploads.spend(upload)
    assert not upload.folder.exists()
    with pytest.raises(ObjectNotExist):
        uploads.hold(upload)


def test_a_sweep_removes_what_a_server_left(tmp_path: Path) -> None:
    upload = sent(Uploads(tmp_path))
    upload.rejected_path.write_text("{}\n")
    (upload.folder / "imports").mkdir()
    (upload.folder / "imports" / f"{'a' * 32}.json").write_text("{}")
    cut_short = tmp_path / "uploads" / ("b" * 32)
    cut_short.mkdir()
    sweep_uploads(tmp_path)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_sweep_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    upload = sent(Uploads(tmp_path))
    (upload.folder / "thesis.doc").write_text("mine")
    unmarked = tmp_path / "uploads" / ("c" * 32)
    unmarked.mkdir()
    (unmarked / "people.csv").write_text("mine")
    other = tmp_path / "uploads" / "notes"
    other.mkdir()
    (other / "upload.json").write_text('{"format": 1, "id": "notes", "name": "x"}')
    link = tmp_path / "uploads" / ("d" * 32)
    link.symlink_to(tmp_path / "elsewhere")
    sweep_uploads(tmp_path)
    assert [path.name for path in upload.folder.iterdir()] == ["thesis.doc"]
    assert (unmarked / "people.csv").exists()
    assert (other / "upload.json").exists()
    assert link.is_symlink()


def test_a_marker_cannot_name_what_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "kept.csv").write_text("mine")
    folder = tmp_path / "uploads" / ("e" * 32)
    folder.mkdir(parents=True)
    (folder / "upload.json").write_text(f'{{"format": 1, "id": "{folder.name}", "name": "../../kept.csv"}}')
    sweep_uploads(tmp_path)
    assert (tmp_path / "kept.csv").exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("people.csv", "people.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\files\\my people.csv", "my_people.csv"),
        ("人口.jsonl.gz", "人口.jsonl.gz"),
        ("", "file"),
        ("..", "file"),
        ("upload.json", "file_upload.json"),
        (REJECTED, f"file_{REJECTED}"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=300))
def test_a_safe_name_is_one_part_of_a_path_and_stays_as_it_is(name: str) -> None:
    safe = safe_name(name)
    assert safe == safe_name(safe)
    assert Path(safe).name == safe
    assert safe not in (".", "..", "")
    assert len(safe.encode()) <= 130
