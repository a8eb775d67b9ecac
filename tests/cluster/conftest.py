"""Node processes for all tests of a module: three over a folder, or two over a folder and over a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.node_cluster import NodeCluster
from support.s3_server import S3Server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """Three nodes over a local folder, with the instance ``test``. Tests make tables of their own names."""
    yield from _running(NodeCluster(tmp_path_factory.mktemp("cluster")))


@pytest.fixture(scope="module", params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def two_nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """Two nodes, as `cluster`; in the slow tests over a bucket of S3 as well."""
    folder = tmp_path_factory.mktemp("cluster")
    if request.param == "folder":
        yield from _running(NodeCluster(folder, nodes=2))
        return
    server: S3Server = request.getfixturevalue("s3_server")
    with pytest.MonkeyPatch.context() as patch:
        # The tests' own process looks into the store as well.
        for name, value in server.environment.items():
            patch.setenv(name, value)
        store = server.url(f"{Path(request.path).stem}-of-two-nodes")
        yield from _running(NodeCluster(folder, nodes=2, store=store))


def _running(made: NodeCluster) -> Iterator[NodeCluster]:
    with made as nodes:
        yield nodes
    # Whatever the tests did, nothing went wrong that nobody had foreseen.
    assert "Traceback" not in nodes.log_text()
