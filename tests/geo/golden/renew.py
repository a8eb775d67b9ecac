"""Writes the golden section of the format's version: ``python tests/geo/golden/renew.py``, from the repository.

Those of a version that was ever released stay for ever: a file that is there is left alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))

from support.geo_sections import golden_section  # noqa: E402

if __name__ == "__main__":
    pages, meta = golden_section()
    for path, data in ((FOLDER / "v1.pages", pages), (FOLDER / "v1.json", json.dumps(meta, indent=1).encode())):
        if not path.exists():
            path.write_bytes(data)
            print(path)
