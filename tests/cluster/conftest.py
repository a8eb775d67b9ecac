"""Three node processes for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.node_cluster import NodeCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """Three nodes over a local folder, with the instance ``test``. Tests make tables of their own names."""
    with NodeCluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes
    # Whatever the tests did, nothing went wrong that nobody had foreseen.
    assert "Traceback" not in nodes.log_text()
