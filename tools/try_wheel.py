"""Tries Lutra as it was installed: the demo, a question, and a program of ten lines. Needs nothing else.

Run by the Python that a wheel was installed for: ``python tools/try_wheel.py``, from any folder but a checkout's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PROGRAM: Final = """
import lutra

with lutra.connect("data") as db:
    otters = db.create_table("otters", key={"id": str}, fields={"says": lutra.Text(), "at": lutra.Vector(2, "cosine")})
    otters.put({"id": "coast", "says": "otters of the coast", "at": [1.0, 0.1]})
    otters.put({"id": "river", "says": "otters of the river", "at": [0.1, 1.0]})
    found = [row["id"] for row in otters.search([1.0, 0.0], text="river", limit=2)]
    nearest = [row["id"] for row in otters.search([1.0, 0.0], limit=1)]
print(lutra.__file__, sorted(found), nearest)
"""


def main() -> None:
    lutra = Path(sys.executable).with_name("lutra")
    with tempfile.TemporaryDirectory() as folder:
        _require("lutra, version", _said(folder, str(lutra), "--version"))
        answers = _said(folder, str(lutra), "demo", "--data", "demo-data")
        for name in ("re.Pattern.split", "shutil.copytree", "gzip.open"):
            _require(name, answers)
        _require("argparse", _said(folder, str(lutra), "search", "--data", "demo-data", "parse command line arguments"))
        said = _said(folder, sys.executable, "-c", PROGRAM)
        _require("site-packages", said)
        _require("['coast', 'river'] ['coast']", said)
    print("The demo, a question and a program of ten lines work.")


def _said(folder: str, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _require(text: str, said: str) -> None:
    if text not in said:
        sys.exit(f"{text!r} was expected in:\n{said}")


if __name__ == "__main__":
    main()
