"""Which threads two read-only databases start; run as ``python -m support.read_only_threads DATA``.

In a process of its own: there are no threads of others that come and go. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import lutra


def main(data: Path) -> None:
    before = set(threading.enumerate())
    said: dict[str, list[object]] = {"rows": [], "found": [], "scanned": [], "threads": []}
    with lutra.connect(data, read_only=True) as one, lutra.connect(data, read_only=True) as other:
        for database in (one, other):
            table = database.table("t")
            said["rows"].append(table.count())
            said["found"].append(len(table.search(where=lutra.col("s") == "s1", limit=600)))
            said["scanned"].append(len(list(table.scan())))
            database.refresh()
        said["threads"] = [thread.name for thread in set(threading.enumerate()) - before]
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
