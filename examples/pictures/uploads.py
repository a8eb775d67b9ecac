"""Pictures that somebody asks by: kept in memory while they are likely to ask on, and nowhere else."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

UPLOADS_MAX: Final = 100
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Upload:
    """``thumbnail`` is WebP; ``names`` are what the model took it for, with probabilities."""

    vector: npt.NDArray[np.float32]
    names: tuple[tuple[str, float], ...]
    thumbnail: bytes


class Uploads:
    """The latest ones, each under an id that cannot be guessed. Thread-safe."""

    def __init__(self, uploads_max: int = UPLOADS_MAX) -> None:
        self._uploads_max = uploads_max
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, upload: Upload) -> str:
        """The id that finds it again, until so many others have come."""
        id_ = secrets.token_urlsafe(_ID_BYTES)
        with self._lock:
            self._kept[id_] = upload
            while len(self._kept) > self._uploads_max:
                self._kept.popitem(last=False)
        return id_

    def find(self, id_: str) -> Upload | None:
        with self._lock:
            if id_ in self._kept:
                self._kept.move_to_end(id_)
            return self._kept.get(id_)
