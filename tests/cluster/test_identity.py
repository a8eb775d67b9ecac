"""What a cluster's nodes have in common."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from support.s3_server import S3Server

from lutra.cluster.identity import NAME, Identity, identity_of, make_identity
from lutra.cluster.map_changes import create_instance
from lutra.cluster.map_log import MapLog
from lutra.model.errors import Corruption, ForeignObjects, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore


def race(store: ObjectStore) -> list[tuple[Identity, bool]]:
    made: list[tuple[Identity, bool]] = []
    rivals = [threading.Thread(target=lambda: made.append(make_identity(store))) for _ in range(6)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    return made


def test_of_many_who_make_a_cluster_at_once_one_does(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert identity_of(store) is None
    made = race(store)
    assert len({identity for identity, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1
    assert identity_of(store) == made[0][0]
    path = store.local_path(NAME)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_cluster_is_made_among_the_objects_of_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("kv/CURRENT", b"")
    with pytest.raises(ForeignObjects, match="a place of its own"):
        make_identity(store)
    assert store.list("") == ["kv/CURRENT"]


def test_a_cluster_that_has_lost_its_name_gets_another(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    before, _ = make_identity(store)
    MapLog(store).change(lambda of: create_instance(of, "main"))
    store.delete(NAME)
    after, is_new = make_identity(store)
    assert is_new
    assert after.peer_secret != before.peer_secret


def test_as_on_s3(s3: S3Server) -> None:
    store = open_store(s3.url("cluster-identity"))
    made = race(store)
    assert len({identity for identity, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1


def test_no_secret_is_shown(tmp_path: Path) -> None:
    identity, _ = make_identity(LocalStore(tmp_path))
    assert identity.id in repr(identity)
    assert identity.access_key_secret not in repr(identity)
    assert identity.peer_secret not in repr(identity)


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    make_identity(store)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(StorageFailure, match=r"can be read by others.*chmod 600"):
        identity_of(store)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "id": "x"}', b'{"format": 1, "id": 5}'])
def test_what_cannot_be_read_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    (tmp_path / NAME).chmod(0o600)
    with pytest.raises(Corruption, match=r"cluster: .*(cannot be read|format)"):
        identity_of(LocalStore(tmp_path))
