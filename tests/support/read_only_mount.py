"""A database on a file system that is mounted to be read only; run as ``python -m support.read_only_mount DATA``.

In user and mount namespaces of its own (``unshare --user --map-root-user --mount``). Prints ``read-only`` once the
kernel says so, and what is there.
"""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import lutra


def print_what_is_there(data: Path) -> None:
    """How many rows table ``t`` has, how many a scan gives, and how many of them no segment needs to be asked for."""
    with lutra.connect(data, read_only=True) as database:
        table = database.table("t")
        print(table.count(), len(list(table.scan())))
        index = database._engine.instance("default").index_stats("t", "search")[1]
        print(sum(segment.rows for segment in index.segments))


def main(data: Path) -> None:
    subprocess.run(["mount", "--bind", str(data), str(data)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(data)], check=True)
    try:
        (data / "file").touch()
    except OSError as error:
        print("read-only" if error.errno == errno.EROFS else error)
    print_what_is_there(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
