"""A process that writes numbered batches until it is killed: run as ``python -m support.numbered_batches DATA FIRST``.

What the table holds after batch ``k`` is known (`after`): so whoever reads it meanwhile can be asked whether it sees
the state after one of them. Says the number of each once it is acknowledged.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

import lutra

KEYS = 300
BATCH_ROWS = 6
DIMENSION = 4
FIELDS = {"n": int, "v": lutra.Vector(DIMENSION, "euclidean")}


def vector(number: int, key: int) -> list[float]:
    return [float(number), float(key), 1.0, 0.0]


def batch(number: int) -> tuple[list[int], list[int]]:
    """The keys that a batch writes, and in a commit of its own those that it deletes before."""
    rng = random.Random(number)
    return rng.sample(range(KEYS), BATCH_ROWS), rng.sample(range(KEYS), number % 4)


def after(number: int) -> dict[int, int]:
    """By key the number of the batch that wrote it last, after batch ``number``."""
    last: dict[int, int | None] = {}
    for one in range(number, -1, -1):
        written, deleted = batch(one)
        for key in written:
            last.setdefault(key, one)
        for key in deleted:
            last.setdefault(key, None)
        if len(last) == KEYS:
            break
    return {key: one for key, one in last.items() if one is not None}


def between(number: int) -> dict[int, int]:
    """The same where of batch ``number`` only the deletions are there."""
    model = after(number - 1)
    for key in batch(number)[1]:
        model.pop(key, None)
    return model


def main(data: Path, first: int) -> None:
    rng = random.Random(first)
    with lutra.connect(data) as database:
        table = database.create_table("t", {"id": int}, FIELDS, exist_ok=True)
        table.count()  # until the index is open
        index = database._engine.partition.feeder._feeds[0].index
        for number in range(first, 1_000_000):
            written, deleted = batch(number)
            table.delete_many(deleted)
            table.put_many([{"id": key, "n": number, "v": np.array(vector(number, key))} for key in written])
            print(number, flush=True)
            if rng.random() < 0.1:
                index.flush()
            if rng.random() < 0.05:
                index.compact()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
