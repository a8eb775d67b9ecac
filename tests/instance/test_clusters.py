"""The store of a cluster is no place for a data directory's rows or objects."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.s3_server import S3Server

import lutra
from lutra.cluster.identity import make_identity
from lutra.cluster.map_changes import create_instance
from lutra.cluster.map_log import MapLog
from lutra.instance.adoption import adopt_objects
from lutra.instance.stopped import StoppedDirectory
from lutra.model.errors import ForeignObjects
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore


def cluster_at(place: str) -> ObjectStore:
    store = open_store(place)
    make_identity(store)
    MapLog(store).change(lambda of: create_instance(of, "main"))
    return store


def content_of(store: ObjectStore) -> dict[str, bytes]:
    return {name: store.get(name) for name in store.list("")}


def refusal(cluster: str) -> str:
    return re.escape(f"the store of a cluster: `lutra node --store {cluster}` serves that. Nothing was changed there")


@pytest.mark.parametrize("below", ["", "/rows", "/partitions/one", "/map"])
def test_nothing_is_put_into_the_store_of_a_cluster(tmp_path: Path, below: str) -> None:
    cluster, data = str(tmp_path / "cluster"), tmp_path / "data"
    store = cluster_at(cluster)
    before = content_of(store)
    with pytest.raises(ForeignObjects, match=refusal(cluster)):
        lutra.connect(data, objects=cluster + below)
    with pytest.raises(ForeignObjects, match=refusal(f"file://{cluster}")):
        lutra.connect(data, objects=f"file://{cluster}{below}")
    with pytest.raises(ForeignObjects, match=refusal(cluster)):
        lutra.connect(tmp_path / "other", rows=cluster + below)
    lutra.connect(data).close()
    assert sorted(path.name for path in (tmp_path / "cluster").iterdir()) == [".unfinished", "cluster", "map"]
    for folder in ("rows", "partitions/one"):
        (tmp_path / "cluster" / folder).mkdir(parents=True)
    with (
        StoppedDirectory(data, objects=cluster + below, is_to_be_mended=True) as directory,
        pytest.raises(ForeignObjects, match=refusal(cluster)),
    ):
        adopt_objects(directory)
    assert content_of(store) == before


def test_as_on_s3(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    cluster = s3_server.url("a-cluster")
    cluster_at(cluster)
    for place in (cluster, f"{cluster}/deep/below"):
        with pytest.raises(ForeignObjects, match=refusal(cluster)):
            lutra.connect(tmp_path / "data", objects=place)
        with pytest.raises(ForeignObjects, match=refusal(cluster)):
            lutra.connect(tmp_path / "other", rows=place)
    lutra.connect(tmp_path / "data", objects=s3_server.url("no-cluster/below")).close()


def test_others_may_call_their_files_so(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "1").write_text("of the town")
    lutra.connect(tmp_path / "data", objects=tmp_path).close()
    lutra.connect(tmp_path / "more", objects=tmp_path / "place").close()
