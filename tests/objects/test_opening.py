"""From a place to a store, and stores that are not fit."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from support.s3_server import S3Server

from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.opening import open_store, require_one_winner
from lutra.objects.s3 import S3Store
from lutra.objects.store import ObjectStore


class Careless(LocalStore):
    """As the servers that do not know If-None-Match, and take it for a put."""

    def put_if_absent(self, name: str, data: bytes) -> bool:
        self.put(name, data)
        return True


@pytest.mark.parametrize("as_url", [False, True])
def test_a_path_is_a_local_folder(tmp_path: Path, as_url: bool) -> None:
    folder = tmp_path / "with space"
    store = open_store(folder.as_uri() if as_url else folder)
    assert isinstance(store, LocalStore)
    store.put("a", b"1")
    assert (folder / "a").read_bytes() == b"1"


def test_a_url_of_s3_is_a_bucket(s3: S3Server) -> None:
    store = open_store(s3.url(uuid.uuid4().hex))
    assert isinstance(store, S3Store)
    assert store.requests.puts == 8
    assert store.list("") == [], "what it was tried with is gone"
    assert open_store(store.url, probe=False).requests.round_trips == 0


@pytest.mark.parametrize("place", ["", "http://host/x", "gs://bucket", "file://elsewhere/x", "file:///x?y", "s3://"])
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(ParameterInvalid):
        open_store(place)


def test_a_store_on_which_one_wins_is_fit(store: ObjectStore) -> None:
    require_one_winner(store)
    assert store.list("") == []


def test_a_store_on_which_all_win_is_not(tmp_path: Path) -> None:
    store = Careless(tmp_path)
    with pytest.raises(StorageFailure, match="lets 8 of 8 writers win"):
        require_one_winner(store)
    assert store.list("") == []
