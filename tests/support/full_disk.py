"""A running engine on a disk that is full for a while; run as ``python -m support.full_disk FOLDER objects|scratch``.

In user and mount namespaces of its own (``unshare --user --map-root-user --mount``), where it may mount a small disk.
Prints what it saw, one word a line; fails where anything is not as it should be.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from support.engines import IndexedTable, open_engine, unnamed
from support.waiting import wait_until

from lutra.instance.fsck import check_directory
from lutra.objects.local import LocalStore

KEYS = 900
WAIT_S = 40.0


def mount(folder: Path, size_kb: int, *options: str) -> None:
    choice = ",".join([f"size={size_kb}k", *options])
    subprocess.run(["mount", "-t", "tmpfs", "-o", choice, "tmpfs", str(folder)], check=True)


def main(data_dir: Path, full: str) -> None:
    rng = random.Random(3)
    small = data_dir / full
    small.mkdir(parents=True)
    mount(small, 64 if full == "objects" else 8)
    engine = open_engine(data_dir)
    try:
        table = IndexedTable(engine)
        index = table.feed.index
        deadline_s = time.monotonic() + WAIT_S
        while "No space left" not in (index.error or ""):
            assert time.monotonic() < deadline_s, index.error
            table.write(rng, 40, KEYS)
            time.sleep(0.02)
        print("full", flush=True)
        for _ in range(3):
            table.write(rng, 40, KEYS)
            print("answered" if table.check_while_failing(1.0) else "waits", flush=True)
        mount(small, 64 * 1024, "remount")
        wait_until(lambda: index.error is None)
        table.wait()
        table.check()
        table.settle()
        table.check()
        assert index.durable_position == index.progress.position
        print("recovered", flush=True)
    finally:
        engine.close()
    assert check_directory(data_dir) == []
    engine = open_engine(data_dir)
    try:
        table = IndexedTable(engine, table)
        table.wait()
        table.check()
        table.settle()
        assert unnamed(LocalStore(data_dir / "objects")) == set()
    finally:
        engine.close()
    assert check_directory(data_dir) == []
    print("reopened", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
