"""``lutra serve`` with small buffers, and a point at which it kills itself: ``python -m support.killed_server``.

It is put together as `lutra.cli.serve` and `lutra.instance.engine.Engine.open` do it, of the same parts.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

from support.killing_store import Killer, KillingBuilder, KillingStore, KillPoint

from lutra.index.builds.policy import Policy
from lutra.index.lsm.resources import Resources
from lutra.instance.engine import Engine
from lutra.instance.partition import Examine, Partition
from lutra.instance.registry import create_instance, instance_exists
from lutra.instance.rows_place import RowsPlace
from lutra.model.clock import SystemClock
from lutra.server.auth.credentials import load_credentials
from lutra.server.http.options import ServerOptions
from lutra.server.http.server import run_server

MEMORY_BYTES = 64 * 1024 * 1024


def opened(
    data_dir: Path, objects: str | None, policy: Policy, point: KillPoint | None, builders: str = "local"
) -> Engine:
    """As `Engine.open`, with that policy."""
    data_dir.mkdir(parents=True, exist_ok=True)
    address = objects or str(data_dir / "objects")

    def share(examine: Examine) -> Resources:
        resources = Resources.open(address, data_dir / "scratch", MEMORY_BYTES, examine, builders=builders)
        resources = replace(resources, policy=policy)
        if point is None:
            return resources
        killer = Killer(point)
        store, builder = KillingStore(resources.store, killer), KillingBuilder(resources.builder, killer)
        return replace(resources, store=store, builder=builder)

    return Engine(data_dir, Partition.open(RowsPlace(data_dir), address, data_dir, share, SystemClock()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--objects")
    parser.add_argument("--policy", type=json.loads, default={})
    parser.add_argument("--builders", default="local")
    parser.add_argument("--kill", type=KillPoint.from_json)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    engine = opened(options.data, options.objects, Policy(**options.policy), options.kill, options.builders)
    try:
        if not instance_exists(options.data, options.instance):
            create_instance(options.data, options.instance)
        credentials = load_credentials(options.data, os.environ).credentials
        run_server(
            engine,
            credentials,
            ServerOptions(port=options.port),
            on_listening=lambda endpoint: print(f"listening on {endpoint}", flush=True),
        )
    finally:
        engine.close()


if __name__ == "__main__":
    main()
