"""A new access key is shown to people, and not to the journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "from lutra.cli.access_key import show_new_key; show_new_key('an-id', 'a-secret', 'FILE')"


def shown(file: Path, stream: str | None) -> str:
    with file.open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        said = f"{status.st_dev}:{status.st_ino}" if stream == "same" else stream
        environment = os.environ | ({"JOURNAL_STREAM": said} if said is not None else {})
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=stderr, env=environment, check=True, timeout=60)
    return file.read_text()


def test_the_secret_is_shown_but_to_the_journal(tmp_path: Path) -> None:
    for stream in (None, "", "8:1"):  # none, and another's that was inherited
        assert "a-secret" in shown(tmp_path / "stderr", stream)
    assert shown(tmp_path / "journal", "same") == "New access key, stored in FILE.\n"
