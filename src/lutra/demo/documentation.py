"""The documentation of the Python standard library on this machine, entry by entry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lutra.model.errors import LutraError

SCRIPT: Final = Path(__file__).with_name("inspection.py")
# What an interpreter may need to start.
_ENVIRONMENT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_READ_TIMEOUT_S: Final = 120
_SUMMARY_CHARS_MAX: Final = 300
_DOC_CHARS_MAX: Final = 20_000
# "dumps(obj, *, …) -> str": what C functions put first in their docstrings.
_SIGNATURE_LINE: Final = re.compile(r"[\w.]+\(.*\)?(\s*->.*|\s*:)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A module, class, exception, function, method or property.

    ``name`` is qualified (``json.dumps``), ``summary`` the first lines of ``doc``, ``signature`` empty where unknown.
    """

    name: str
    module: str
    kind: str
    signature: str
    summary: str
    doc: str


def read_standard_library() -> list[Entry]:
    """Every public entry of this Python's standard library, sorted by name; takes a second or two.

    The library's modules are imported in a process of their own. Raises LutraError where that process fails.
    """
    command = [sys.executable, "-I", "-B", "-W", "ignore", str(SCRIPT)]
    # The environment is no part of the documentation: modules keep it, and parts of it, where inspection finds them.
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_READ_TIMEOUT_S,
            env=environment,
        )
        found = json.loads(finished.stdout)
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.decode(errors="replace").strip()
        raise LutraError(f"could not read the standard library: exit {error.returncode}: {complaint}") from error
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise LutraError(f"could not read the standard library: {error}") from error
    return [_entry(raw) for raw in found]


def _entry(raw: dict[str, str]) -> Entry:
    signature, doc = raw["signature"], raw["doc"]
    first, _, rest = doc.partition("\n")
    if _SIGNATURE_LINE.fullmatch(first.strip()) and first.partition("(")[0].endswith(raw["name"].rpartition(".")[2]):
        signature = signature or first.strip().partition("(")[1] + first.strip().partition("(")[2]
        doc = rest.lstrip("\n")
    return Entry(raw["name"], raw["module"], raw["kind"], signature, _summary(doc), doc[:_DOC_CHARS_MAX])


def _summary(doc: str) -> str:
    """The first paragraph, on one line."""
    paragraph = " ".join(doc.strip().split("\n\n", 1)[0].split())
    return paragraph if len(paragraph) <= _SUMMARY_CHARS_MAX else paragraph[: _SUMMARY_CHARS_MAX - 1] + "…"
