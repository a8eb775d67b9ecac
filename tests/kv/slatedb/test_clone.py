"""Clones of databases: all of the parent and nothing after, whatever happens to either; what may be deleted when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.waiting import wait_until

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb.clone import clone_store, delete_database, is_needed, parents_of
from lutra.kv.slatedb.settings import SlateSettings
from lutra.kv.slatedb.store import SlateStore
from lutra.model.errors import ParameterInvalid, StorageFailure


def put(store: SlateStore, *keys: bytes) -> None:
    batch = WriteBatch()
    for key in keys:
        batch.put(key, b"of " + key)
    store.commit(batch)


def keys_of(store: SlateStore) -> list[bytes]:
    return [key for key, _ in store.scan(b"\0", b"\xff")]


def test_a_clone_has_what_was_committed_and_goes_its_own_way(tmp_path: Path) -> None:
    parent = SlateStore(tmp_path / "parent")
    put(parent, b"a", b"b")
    parent.clone_to(tmp_path / "clone")
    put(parent, b"later")
    clone = SlateStore(tmp_path / "clone")
    put(clone, b"own")
    assert keys_of(clone) == [b"a", b"b", b"own"]
    assert keys_of(parent) == [b"a", b"b", b"later"]
    for store in (parent, clone):
        store.close()
    reopened = SlateStore(tmp_path / "clone", may_make=False)
    assert keys_of(reopened) == [b"a", b"b", b"own"]
    reopened.close()


def test_a_closed_store_is_cloned_whole(tmp_path: Path) -> None:
    parent = SlateStore(tmp_path / "parent")
    put(parent, b"a")
    parent.close()
    clone_store(tmp_path / "parent", tmp_path / "clone")
    clone_store(tmp_path / "parent", tmp_path / "clone")  # comes to the same
    clone = SlateStore(tmp_path / "clone", may_make=False)
    assert clone.get(b"a") == b"of a"
    clone.close()


def test_a_parent_is_deleted_only_after_its_clones(tmp_path: Path) -> None:
    parent = SlateStore(tmp_path / "parent")
    put(parent, b"a")
    parent.clone_to(tmp_path / "one")
    one = SlateStore(tmp_path / "one")
    put(one, b"b")
    one.clone_to(tmp_path / "two")  # of a clone: it reads its grandparent's tables as well
    parent.close()
    one.close()
    assert parents_of(tmp_path / "parent") == []
    assert parents_of(tmp_path / "one") == [str(tmp_path / "parent")]
    assert parents_of(tmp_path / "two") == [str(tmp_path / "one"), str(tmp_path / "parent")]
    assert is_needed(tmp_path / "parent")
    for needed in ("parent", "one"):
        with pytest.raises(StorageFailure, match="cannot be deleted"):
            delete_database(tmp_path / needed)
    two = SlateStore(tmp_path / "two", may_make=False)
    assert keys_of(two) == [b"a", b"b"]
    two.close()
    delete_database(tmp_path / "two")
    delete_database(tmp_path / "two")  # comes to the same
    assert not is_needed(tmp_path / "one")
    delete_database(tmp_path / "one")
    assert not is_needed(tmp_path / "parent")
    delete_database(tmp_path / "parent")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_no_database_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear")
    with pytest.raises(StorageFailure):
        delete_database(tmp_path / "letters")
    assert (tmp_path / "letters" / "letter.txt").read_text() == "dear"


def test_what_cannot_be_cloned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="no database"):
        clone_store(tmp_path / "nothing", tmp_path / "clone")
    for name in ("one", "other"):
        store = SlateStore(tmp_path / name)
        put(store, name.encode())
        store.close()
    with pytest.raises(StorageFailure, match="another database"):
        clone_store(tmp_path / "one", tmp_path / "other")
    with pytest.raises(ParameterInvalid, match="beside"):
        clone_store(tmp_path / "one", tmp_path / "deep" / "clone")
    with pytest.raises(ParameterInvalid, match="beside"):
        clone_store(tmp_path / "one", tmp_path / "one")
    with pytest.raises(StorageFailure, match="no database"):
        parents_of(tmp_path / "nothing")
    other = SlateStore(tmp_path / "other", may_make=False)
    assert keys_of(other) == [b"other"]
    other.close()


@pytest.mark.slow
def test_a_clone_that_was_rewritten_needs_its_parent_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SlateDB's own threads have it, with their periods made short."""
    chosen = SlateSettings.for_bindings
    short = {
        "compactor_options.poll_interval": "200ms",
        "compactor_options.commit_compacted_interval": "200ms",
        "compactor_options.worker.compactions_poll_interval": "200ms",
        "compactor_options.checkpoint_lifetime": "2s",
        "garbage_collector_options.detach_options.interval": "500ms",
        "manifest_poll_interval": "200ms",
    }

    def hurried(self: SlateSettings, *, has_conditional_overwrites: bool) -> object:
        settings = chosen(self, has_conditional_overwrites=has_conditional_overwrites)
        for name, value in short.items():
            settings.set(name, json.dumps(value))
        return settings

    monkeypatch.setattr(SlateSettings, "for_bindings", hurried)
    parent = SlateStore(tmp_path / "parent")
    put(parent, *(b"%04d" % i for i in range(1_000)))
    parent.clone_to(tmp_path / "clone")
    parent.close()
    clone = SlateStore(tmp_path / "clone")
    clone.hide([(b"0500", b"9")])
    wait_until(lambda: clone.is_swept)
    clone.rewrite()
    wait_until(lambda: not is_needed(tmp_path / "parent"))
    assert parents_of(tmp_path / "clone") == []
    delete_database(tmp_path / "parent")
    assert keys_of(clone) == [b"%04d" % i for i in range(500)]
    clone.close()
    again = SlateStore(tmp_path / "clone")
    assert keys_of(again) == [b"%04d" % i for i in range(500)]
    again.close()
