"""Writes the golden stream of the format's version: ``python tests/scalars/golden/renew.py``, from the repository.

Those of a version that was ever released stay for ever: a file that is there is left alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from support.scalar_streams import golden_kinds_stream, golden_stream  # noqa: E402

if __name__ == "__main__":
    for name, (pages, metas) in (("v1", golden_stream()), ("kinds", golden_kinds_stream())):
        for path, data in (
            (FOLDER / f"{name}.pages", pages),
            (FOLDER / f"{name}.json", json.dumps(metas, indent=1).encode()),
        ):
            if not path.exists():
                path.write_bytes(data)
                print(path)
