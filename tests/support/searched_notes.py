"""Rows of the table that tests of the search page look through."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from support import pictures

import lutra

ROWS = 60
NAMES = ["fox", "volcano", "tax return", "violin", "glacier"]
WORDS = ["river", "stone", "silver", "moon", "quick", "fox", "lazy", "dog"]
SCRIPT = "<script>document.title='broken'</script><b>bold</b>"


@dataclass
class Remark:
    by: str
    stars: int
    mood: Annotated[np.ndarray[Any, Any] | None, lutra.Vector(2, "euclidean")] = None


def notes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        text = f"{WORDS[number % 8]} {WORDS[number // 8 % 8]} number{number}"
        rows.append(
            {
                "id": number,
                "text": f"{text} {SCRIPT}" if number == 7 else text,
                "kind": ["news", "blog", "paper"][number % 3],
                "year": 2000 + number % 20,
                "at": dt.datetime(2024, 1 + number % 6, 1 + number % 28, 12, tzinfo=dt.UTC),
                "good": number % 2 == 0,
                "place": lutra.GeoPoint(number / 10, 10),
                "small": np.array([number, 1.0, -number], np.float32),
                "remarks": [Remark("ada", number % 5, np.array([number, 0], np.float32))] if number % 4 else [],
            }
        )
    for row, colour in zip(rows, ("red", "green", "blue", "white"), strict=False):
        row["photo"] = pictures.encoded(pictures.ball(colour))
    rows[4]["photo"] = b"no picture at all"
    return rows
