"""The examples run as they are written, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example: str, folder: Path, **environment: str) -> str:
    finished = subprocess.run(
        # The SDK says at each import that its native codec is built for another Python: an ImportWarning.
        [sys.executable, "-W", "error", "-W", "default::ImportWarning", str(EXAMPLES / example)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_embedded(tmp_path: Path) -> None:
    printed = run("embedded.py", tmp_path)
    assert [line.split("  ")[2] for line in printed.splitlines() if line.startswith("  ")] == [
        *("coral", "tomato", "salmon"),
        *("coral", "orange", "gold"),
        *("orange", "coral", "gold"),
    ]
    assert run("embedded.py", tmp_path) == printed, "a second run finds its data and prints the same"


def test_sdk(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        environment = {
            "LUTRA_ENDPOINT": server.endpoint,
            "LUTRA_INSTANCE": server.instance,
            "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        }
        printed = run("sdk.py", tmp_path, **environment)
    names = [line.split()[1] for line in printed.splitlines()[1:]]
    assert names == ["coral", "gold", "forest"]
