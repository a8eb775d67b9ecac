"""Writes the data directory of this version: ``python tests/instance/golden/renew.py``, from the repository.

It is best run where the machine is called localhost: RocksDB writes the name into its tables.

Those of a version that was ever released stay for ever: a file that is there is left alone.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from support.kept_data import make  # noqa: E402

import lutra  # noqa: E402

if __name__ == "__main__":
    path = FOLDER / f"data-{lutra.__version__}.tar.xz"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder, tarfile.open(path, "w:xz") as archive:
            make(Path(folder, "data"), Path(folder, "backups"))
            for top in ("data", "backups"):
                for file in sorted(Path(folder, top).rglob("*")):
                    # What names this machine stays out: logs, and who opened the place of objects.
                    if file.is_file() and not file.name.startswith(("LOG", "LOCK")) and file.parent.name != "owner":
                        archive.add(file, file.relative_to(folder).as_posix())
                    elif file.parent.name == "instances":
                        archive.add(file, file.relative_to(folder).as_posix(), recursive=False)
        print(path)
