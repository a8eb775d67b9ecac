"""What a server has measured of its indexes' recall, left in the data directory for who looks when it is stopped.

It is a note and nothing more: where it cannot be written or read there is none.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lutra.instance.recall_sampler import IndexKey, Told

_NAME: Final = "recall.json"


def write_recall(data_dir: Path, told: Mapping[IndexKey, Told]) -> None:
    """What `RecallSampler.told` says of each index; in place of what an earlier run measured of those. Nothing is known
    any more of an index of which it says nothing."""
    before = read_recall(data_dir)
    whole = {of: one for of, one in {**before, **told}.items() if one}
    if whole == before:
        return
    stored = [{"instance": of.instance, "table": of.table, "index": of.name, **one} for of, one in whole.items()]
    with contextlib.suppress(OSError):
        unfinished = data_dir / f"{_NAME}.unfinished"
        unfinished.write_text(json.dumps(stored, indent=1) + "\n")
        unfinished.replace(data_dir / _NAME)


def read_recall(data_dir: Path) -> dict[IndexKey, Told]:
    """By index; empty where nothing was measured."""
    found: dict[IndexKey, Told] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        stored: list[dict[str, Any]] = json.loads((data_dir / _NAME).read_text())
        for one in stored:
            of = IndexKey(one.pop("instance"), one.pop("table"), one.pop("index"))
            if all(isinstance(value, dict) for value in one.values()):
                found[of] = one
    return found
