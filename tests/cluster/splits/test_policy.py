"""Partitions that have become too large are split by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.one_node import OneNode

from lutra.cluster.splits.policy import AutoSplits, SplitPolicy


@pytest.mark.parametrize(
    ("policy", "rows", "size_bytes", "is_due"),
    [
        (SplitPolicy(10, None), 10, 1 << 50, False),
        (SplitPolicy(10, None), 11, 0, True),
        (SplitPolicy(None, 10), 1 << 50, 10, False),
        (SplitPolicy(None, 10), 0, 11, True),
        (SplitPolicy(), 4_000_000, 4 << 30, False),
        (SplitPolicy(None, None), 1 << 50, 1 << 50, False),
    ],
)
def test_what_is_too_large(policy: SplitPolicy, rows: int, size_bytes: int, is_due: bool) -> None:
    assert policy.is_due(rows, size_bytes) is is_due


def test_splits_until_none_is_too_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with OneNode(tmp_path / "cluster") as node:
        model = {(shop, f"o{order}"): shop for shop in range(4) for order in range(5)}
        model |= {(9, f"o{order}"): order for order in range(30)}
        node.put_all(model)
        splits = AutoSplits(node.host, node.splitter, SplitPolicy(rows_max=12))
        for _ in range(20):
            if not splits.step():
                break
        counts = [owned.instance.tables.count("orders") for owned in node.host.owned()]
        assert sum(counts) == 50
        assert max(counts) == 30, "rows of one partition key stay together"
        assert sorted(counts)[-2] <= 12
        assert caplog.text.count("stays so") == 1
        splits.step()
        assert caplog.text.count("stays so") == 1, "it is told once"
        node.check(model)


def test_what_is_yet_in_tables_of_the_parent_is_not_split_for_its_size(tmp_path: Path) -> None:
    """Each half seems to be as large as the whole: without this, a split would be followed by splits without end."""
    with OneNode(tmp_path / "cluster") as node:
        node.put_all({(shop, f"o{order}"): order for shop in range(10) for order in range(250)})
        node.host.owned()[0].rows.flush()
        splits = AutoSplits(node.host, node.splitter, SplitPolicy(rows_max=1_500))
        assert splits.step()
        assert not splits.step()
        assert [size.pairs > 1_500 for size in splits.sizes.values()] == [True, True]
        assert len(node.host.owned()) == 2
