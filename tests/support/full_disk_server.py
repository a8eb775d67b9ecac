"""A server whose disk fills up under writers; run as ``python -m support.full_disk_server FOLDER``.

In user and mount namespaces of its own, as `support.full_disk`. Prints as JSON what clients were told.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tablestore as ots
from support.full_disk import mount
from support.server import ServerProcess

DISK_KB = 12 * 1024
ROWS_MAX = 400


def main(folder: Path) -> None:
    data = folder / "data"
    data.mkdir(parents=True)
    mount(data, DISK_KB)
    with ServerProcess(data) as server:
        client = server.client(retry_policy=None)  # the SDK's own: what it tries again takes it a minute
        meta = ots.TableMeta("t", [("id", "INTEGER")])
        client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        written = 0
        told: ots.OTSServiceError | None = None
        while told is None and written < ROWS_MAX:
            try:
                client.put_row("t", ots.Row([("id", written)], [("text", "x" * 200_000)]))
                written += 1
            except ots.OTSServiceError as error:
                told = error
        assert told is not None
        found = sum(client.get_row("t", [("id", number)])[1] is not None for number in range(written))
        server.kill()  # how it ends on a full disk is another matter
    print(
        json.dumps(
            {
                "status": told.get_http_status(),
                "code": told.get_error_code(),
                "message": told.get_error_message(),
                "written": written,
                "found": found,
                "log": server.log_path.read_text(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
