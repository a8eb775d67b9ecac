"""Values of rows as text that imports read back: JSON, and the cells of CSV."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.instance.encoding import vector_text
from lutra.instance.jsonable import to_jsonable
from lutra.model.geo import GeoPoint


def json_text(value: Any) -> str:
    """Whatever a row can have."""
    if isinstance(value, np.ndarray) and np.isfinite(value).all():
        return vector_text(value)
    return json.dumps(plain(value), ensure_ascii=False)


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dt.date | bytes | GeoPoint):
        return to_jsonable(value)
    if isinstance(value, np.ndarray):
        is_finite = bool(np.isfinite(value).all())
        return json.loads(vector_text(value)) if is_finite else [plain(float(one)) for one in value]
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return value


def cell_text(value: Any) -> str:
    """As a cell of CSV has it, not yet in quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, GeoPoint):
        return f"{value.lat!r},{value.lon!r}"
    text = json_text(value)
    return text[1:-1] if isinstance(value, dt.datetime | bytes) else text


def vector_texts(vectors: Sequence[Any]) -> list[Any]:
    """As `json_text` of each, of vectors; all at once where they are of one length. Others stay as they are."""
    places = [place for place, one in enumerate(vectors) if isinstance(one, np.ndarray)]
    texts = list(vectors)
    lengths = {len(vectors[place]) for place in places}
    matrix = np.stack([vectors[place] for place in places]) if len(lengths) == 1 else np.array([np.nan])
    if not np.isfinite(matrix).all():
        return [json_text(one) if isinstance(one, np.ndarray) else one for one in vectors]
    for place, digits in zip(places, _digits(matrix), strict=True):
        texts[place] = f"[{', '.join(digits)}]"
    return texts


def _digits(matrix: npt.NDArray[np.float32]) -> list[list[str]]:
    """The shortest that give each float32 back, by rows."""
    try:
        import pyarrow as pa
    except ImportError:
        return [list(map(str, row)) for row in matrix]
    flat = pa.array(matrix.ravel()).cast(pa.string()).to_pylist()
    for place in np.flatnonzero(matrix == np.trunc(matrix)):  # an int would be no vector for who guesses
        if flat[place].lstrip("-").isdecimal():
            flat[place] += ".0"
    width = matrix.shape[1]
    return [flat[first : first + width] for first in range(0, len(flat), width)]
