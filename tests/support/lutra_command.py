"""``lutra`` in this process: one of its own takes longer to begin than most commands take."""

from __future__ import annotations

import os
from typing import NamedTuple

from click.testing import CliRunner

from lutra.cli.main import main


class Ran(NamedTuple):
    status: int
    stdout: str
    stderr: str


def run_lutra(*arguments: str, environment: dict[str, str] | None = None, stdin: str = "") -> Ran:
    """What a command came to. Of Lutra's own variables it has only those of ``environment``.

    Raises what it raised and did not tell as people are told.
    """
    none = dict.fromkeys(name for name in os.environ if name.startswith("LUTRA_"))
    runner = CliRunner(env=none | {"COLUMNS": "120", "TERM": "dumb"} | (environment or {}))
    done = runner.invoke(main, list(arguments), input=stdin, prog_name="lutra")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)
