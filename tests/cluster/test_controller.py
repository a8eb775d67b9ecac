"""Nodes agree on who has what, whoever comes, goes, stalls or is cut off."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.cluster_maps import map_of
from support.cluster_nodes import Cluster


@given(rng=st.randoms(use_true_random=False), faults=st.sampled_from([0.0, 0.05]), stalls=st.sampled_from([0.0, 0.03]))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_nobody_has_what_another_has_and_in_the_end_all_is_placed(
    rng: random.Random, faults: float, stalls: float
) -> None:
    cluster = Cluster(rng, faults=faults, stalls=stalls)
    cluster.maps.change(lambda of: map_of(rng.randrange(1, 8)))
    names = ["a", "b", "c", "d"]
    for _ in range(rng.randrange(80)):
        cluster.now_s += rng.choice((0.0, 0.1, 0.5, 1.0, 2.0))
        kind = rng.randrange(20)
        if kind == 0:
            cluster.start(rng.choice(names), beside=rng.random() < 0.3)
        elif kind == 1:
            cluster.kill(rng.choice(names))
        elif kind == 2:
            cluster.now_s += rng.choice((3.0, 6.0, 20.0))
        else:
            cluster.run_any()
    cluster.faults = cluster.stalls = 0.0
    cluster.end_doubles()
    cluster.start(rng.choice(names))
    cluster.rounds_until_placed(80)
    before = cluster.events()
    cluster.run_all(20)
    assert cluster.events() == before
