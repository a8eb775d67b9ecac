"""What is particular to a local folder: how it lasts, what a crash leaves, and what it refuses."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lutra.model.errors import ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.local import UNFINISHED, LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "deep" / "down" / "objects")


def leftovers(store: LocalStore) -> list[str]:
    return sorted(set(os.listdir(store.root / UNFINISHED)) - {"lock"})


def test_an_object_is_a_file_to_read_from(store: LocalStore) -> None:
    store.put("a/b", b"123")
    path = store.local_path("a/b")
    assert path == store.root / "a" / "b"
    assert path.read_bytes() == b"123"


def test_what_was_put_is_there_when_opened_anew(store: LocalStore) -> None:
    store.put("a/b", b"123")
    again = LocalStore(store.root)
    assert again.get("a/b") == b"123"
    assert again.requests.gets == 1


def test_what_is_no_object_is_not_listed(store: LocalStore) -> None:
    store.put("a/b", b"123")
    (store.root / "lost+found").mkdir()
    (store.root / "a" / ".DS_Store").write_bytes(b"")
    assert store.list("") == ["a/b"]


def test_leftovers_are_removed_by_the_next_to_open_it(tmp_path: Path) -> None:
    first = LocalStore(tmp_path)
    first.put("a", b"1")
    half, strange = uuid.uuid4().hex, "notes.txt"
    for name in (half, strange):
        (tmp_path / UNFINISHED / name).write_bytes(b"half")
    second = LocalStore(tmp_path)
    assert leftovers(second) == sorted([half, strange]), "another has it open, and might be writing that"
    del first, second
    LocalStore(tmp_path, is_read_only=True)
    assert half in leftovers(LocalStore(tmp_path, is_read_only=True))
    assert leftovers(LocalStore(tmp_path)) == [strange], "no store gives such a name"
    assert LocalStore(tmp_path).list("") == ["a"]


def test_read_only_makes_and_changes_nothing(tmp_path: Path) -> None:
    absent = LocalStore(tmp_path / "absent", is_read_only=True)
    assert absent.list("") == []
    assert os.listdir(tmp_path) == []
    LocalStore(tmp_path / "there").put("a", b"1")
    store = LocalStore(tmp_path / "there", is_read_only=True)
    assert store.get("a") == b"1"
    (tmp_path / "file").write_bytes(b"2")
    for write in (
        lambda: store.put("b", b"1"),
        lambda: store.put_if_absent("b", b"1"),
        lambda: store.put_file("b", tmp_path / "file"),
        lambda: store.delete("a"),
    ):
        with pytest.raises(StorageFailure, match="read only"):
            write()
    assert store.list("") == ["a"]


def test_nothing_is_left_of_what_succeeded_or_failed(store: LocalStore, tmp_path: Path) -> None:
    store.put("a/b", b"1")
    store.put_if_absent("a/b", b"1")
    store.put_if_absent("c", b"1")
    with pytest.raises(StorageFailure, match="a: "):
        store.put("a", b"1")
    with pytest.raises(StorageFailure, match="a: the name is the folder of other objects"):
        store.put_if_absent("a", b"1")
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StorageFailure, match="c/d: "):
            write("c/d", b"1")
    path = tmp_path / "file"
    path.write_bytes(b"2")
    with pytest.raises(StorageFailure, match="a: "):
        store.put_file("a", path)
    assert path.read_bytes() == b"2"
    with pytest.raises(ObjectMissing):
        store.get("c/d")
    store.delete("c/d")
    assert leftovers(store) == []
    assert store.list("") == ["a/b", "c"]


def test_only_a_file_is_moved_in(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(ParameterInvalid, match="not a file"):
        store.put_file("a", tmp_path)
    assert tmp_path.is_dir()


def test_a_folder_removed_by_others_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"3")
    for write in (
        lambda: store.put("a/b/c", b"1"),
        lambda: store.put_if_absent("a/b/c", b"2"),
        lambda: store.put_file("a/b/c", path),
    ):
        write()
        shutil.rmtree(store.root / "a")
    store.put("a/b/c", b"4")
    assert store.get("a/b/c") == b"4"


def test_a_folder_goes_with_its_last_object(store: LocalStore) -> None:
    for name in ("a/b/c", "a/b/d", "a/e/f", "g"):
        store.put(name, b"1")
    (store.root / "mine").mkdir()
    store.delete("a/b/c")
    assert (store.root / "a" / "b").is_dir()
    store.delete("a/b/d")
    store.delete("mine/h")  # which is not there
    assert sorted(os.listdir(store.root)) == [UNFINISHED, "a", "g", "mine"]
    assert os.listdir(store.root / "a") == ["e"]
    store.delete("a/e/f")
    store.delete("g")
    assert sorted(os.listdir(store.root)) == [UNFINISHED, "mine"]


def test_folders_that_come_and_go_lose_nothing(store: LocalStore) -> None:
    """Many put and delete in the same folders, which are empty again and again: what was put last is there."""

    def work(number: int) -> None:
        for turn in range(100):
            store.delete(f"a/b/{number}")
            name = f"a/b/{number}" if turn % 3 else f"a/{number}"
            if turn % 2:
                assert store.put_if_absent(name, b"%d" % turn)
            else:
                store.put(name, b"%d" % turn)
            store.delete(f"a/{number}")
        store.put(f"a/b/{number}", b"last")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert [store.get(name) for name in store.list("a")] == [b"last"] * 4
    assert leftovers(store) == []


def test_a_file_of_another_file_system_is_copied_in(store: LocalStore) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == store.root.stat().st_dev:
        pytest.skip("there is no second file system")
    path = elsewhere / f"lutra-test-{os.getpid()}"
    path.write_bytes(bytes(range(256)) * 10_000)
    try:
        store.put_file("a", path)
        assert store.get("a") == bytes(range(256)) * 10_000
        assert not path.exists()
        assert leftovers(store) == []
    finally:
        path.unlink(missing_ok=True)


def test_everything_is_fsynced_before_it_is_acknowledged(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    root = str(store.root)
    path = tmp_path / "file"
    path.write_bytes(b"2")
    store.put("a/b/c", b"1")
    assert synced[0].startswith(f"{root}/{UNFINISHED}/")
    assert synced[1:] == [root, f"{root}/a", f"{root}/a/b"], "each new folder in the one above, then the object's"
    for write in (lambda: store.put_if_absent("a/b/d", b"1"), lambda: store.put_file("a/b/e", path)):
        synced.clear()
        write()
        assert len(synced) == 2
        assert synced[0] == str(path) or synced[0].startswith(f"{root}/{UNFINISHED}/")
        assert synced[1] == f"{root}/a/b"


def test_new_folders_above_the_root_are_fsynced_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    LocalStore(tmp_path / "new" / "objects")
    assert {str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "objects")} <= synced


def failing_fsync(monkeypatch: pytest.MonkeyPatch, *, folders: bool) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}") == folders:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)


def test_what_cannot_be_fsynced_is_not_there(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"old")
    with monkeypatch.context() as patch:
        failing_fsync(patch, folders=False)
        for write in (store.put, store.put_if_absent):
            with pytest.raises(StorageFailure, match="new: Input/output error"):
                write("new", b"1")
        with pytest.raises(StorageFailure, match="a: Input/output error"):
            store.put("a", b"new")
    assert store.list("") == ["a"]
    assert store.get("a") == b"old"
    assert leftovers(store) == []
    store.put("new", b"1")


def test_after_a_failed_fsync_of_a_folder_it_refuses_all_use(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("f/a", b"old")
    with monkeypatch.context() as patch:
        failing_fsync(patch, folders=True)
        with pytest.raises(StorageFailure, match="Input/output error"):
            store.put("f/b", b"1")
    for use in (
        lambda: store.get("f/a"),
        lambda: store.put("f/a", b"1"),
        lambda: store.put_if_absent("f/c", b"1"),
        lambda: store.list(""),
        lambda: store.delete("f/a"),
        lambda: store.size("f/a"),
    ):
        with pytest.raises(StorageFailure, match="not used after a failure: fsync of"):
            use()
    assert LocalStore(store.root).get("f/a") == b"old"


def test_a_full_disk_leaves_what_was_there(store: LocalStore) -> None:
    store.put("a", b"old")
    program = (
        "import resource, signal, sys\n"
        "from lutra.model.errors import StorageFailure\n"
        "from lutra.objects.local import LocalStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"store = LocalStore({str(store.root)!r})\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))\n"
        "for write in (store.put, store.put_if_absent):\n"
        "    for name in ('a', 'b'):\n"
        "        try:\n"
        "            print(write(name, bytes(200_000)))\n"
        "        except StorageFailure as error:\n"
        "            print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert printed.stdout.splitlines() == ["a: File too large", "b: File too large", "False", "b: File too large"]
    assert store.list("") == ["a"]
    assert store.get("a") == b"old"
    assert leftovers(store) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageFailure, match=str(root)):
            LocalStore(root)


def test_links_out_of_the_folder_are_not_followed_by_lists(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"1")
    (store.root / "link").symlink_to(tmp_path / "outside")
    assert store.list("") == ["link"]
