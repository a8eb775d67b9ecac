"""A picture of a vector field: a sample of its rows in the plane they vary most in, coloured by another field.

What a browser gets is compact: two numbers of 16 bits and a colour of 8 a row, and the row's key.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.console.row_keys import key_token
from lutra.kernels.codes import directions_of
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric
from lutra.search.sample import VectorSample
from lutra.vectors.code_centres import k_means
from lutra.vectors.plane import Plane, plane_of

Matrix = npt.NDArray[np.float32]

CATEGORIES_MAX: Final = 10
"""Values that have a colour of their own; the others share one."""
CLUSTERS: Final = 8
_ROWS_PER_CLUSTER: Final = 25
SIDE: Final = 65_535
"""Places in the picture are 0 to this, either way."""
_MARGIN: Final = 0.02
"""Of the picture, left free at each side."""
OTHER: Final = 254
NONE: Final = 255
_SCALE_MAX: Final = 253
"""Colours of a scale are 0 to this."""
_TAIL: Final = 1.0
"""Per cent at either end of a scale whose colour is the end's: a few far values must not take all of it."""
_FRAMES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """How vectors come to places in one picture."""

    plane: Plane
    low: npt.NDArray[np.float64]
    """[2]: what of the plane is at place 0."""
    scale: float
    """Places for one unit of the plane."""

    @classmethod
    def around(cls, plane: Plane, placed: Matrix) -> Frame:
        """A frame that has all of ``placed``, float32 [n, 2], in it; both directions at one scale."""
        low, high = (placed.min(axis=0), placed.max(axis=0)) if len(placed) else (np.zeros(2), np.zeros(2))
        middle, side = (low.astype(np.float64) + high) / 2, float((high.astype(np.float64) - low).max())
        side = side * (1 + 2 * _MARGIN) if side > 0 else 1.0
        return cls(plane, middle - side / 2, SIDE / side)

    def places(self, placed: Matrix) -> npt.NDArray[np.float64]:
        """float64 [n, 2] of ``placed``, float32 [n, 2] in the plane; beyond 0 to `SIDE` where they are not of the
        sample."""
        return (placed - self.low) * self.scale


class Frames:
    """The frames of the pictures that were looked at last: a picture stays as it is as long as its segments do, however
    many rows come meanwhile. Thread-safe."""

    def __init__(self, most: int = _FRAMES_MAX) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._frames: OrderedDict[str, Frame] = OrderedDict()

    def of(self, what: Sequence[str], sample: VectorSample, metric: Metric) -> tuple[str, Frame, Matrix]:
        """The name of a picture's frame, the frame, and where in its plane the sample is.

        ``what``: all that says which picture it is, but for the segments.
        """
        name = hashlib.sha256("\0".join([*what, *sample.segments]).encode()).hexdigest()[:32]
        found = self.get(name)
        plane = plane_of(sample.vectors, metric, sample.basis) if found is None else found.plane
        placed = plane.place(sample.vectors)
        if found is None:
            found = Frame.around(plane, placed)
            with self._lock:
                self._frames[name] = found
                while len(self._frames) > self._most:
                    self._frames.popitem(last=False)
        return name, found, placed

    def get(self, name: str) -> Frame | None:
        """None where it is too long ago."""
        with self._lock:
            found = self._frames.get(name)
            if found is not None:
                self._frames.move_to_end(name)
            return found


def picture_json(
    sample: VectorSample, metric: Metric, frames: Frames, what: Sequence[str], colour: str | None, *, is_date: bool
) -> dict[str, Any]:
    """What ``static/map.js`` draws. ``colour``: the field that rows are coloured by; ``is_date``: whether it has dates.

    ``points``: uint16 little-endian [n, 2]; ``colours``: uint8 [n], by ``colour``; both base64.
    """
    if not sample.keys:
        return {"rows": 0, "keys": [], "points": "", "colours": "", "colour": None, "clusters": [], "frame": ""}
    name, frame, placed = frames.of(what, sample, metric)
    places = np.clip(np.rint(frame.places(placed)), 0, SIDE)
    values = sample.values[colour] if colour else [None] * len(sample.keys)
    texts = [_text(value) for value in values]
    colours, legend = _colours(values, texts, is_date=is_date) if colour else (np.zeros(len(places), np.uint8), None)
    return {
        "frame": name,
        "rows": sample.of_rows,
        "explained": list(frame.plane.explained),
        "keys": [key_token([value for _, value in key]) for key in sample.keys],
        "points": _base64(places.astype("<u2")),
        "colours": _base64(colours),
        "colour": None if legend is None else {"field": colour, **legend},
        "values": texts if colour else [],
        "clusters": _clusters(sample.vectors, metric, places, values, texts),
    }


def _colours(
    values: Sequence[Any], texts: Sequence[str], *, is_date: bool
) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
    """The colour of each value, of which ``texts`` are the texts, and what they mean."""
    has = np.array([value is not None for value in values])
    colours = np.full(len(values), NONE, np.uint8)
    known = [value for value in values if value is not None]
    missing = len(values) - len(known)
    if known and _are_numbers(known):
        numbers = np.array(known, np.float64)
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(one) for one in np.percentile(finite, [_TAIL, 100 - _TAIL])) if len(finite) else (0.0, 0.0)
        # Halves, as a whole spread may be beyond float64.
        half = high / 2 - low / 2
        shares = np.clip((numbers / 2 - low / 2) / half, 0, 1) if half > 0 else np.zeros(len(numbers))
        shares = np.nan_to_num(shares)
        colours[has] = np.rint(shares * _SCALE_MAX)
        return colours, {"kind": "scale", "low": low, "high": high, "is_date": is_date, "missing": missing}
    known_texts = [text for text, value in zip(texts, values, strict=True) if value is not None]
    counts = Counter(known_texts)
    names = [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:CATEGORIES_MAX]]
    number = {name: at for at, name in enumerate(names)}
    colours[has] = [number.get(text, OTHER) for text in known_texts]
    return colours, {
        "kind": "categories",
        "names": names,
        "counts": [counts[name] for name in names],
        "other": sum(counts.values()) - sum(counts[name] for name in names),
        "missing": missing,
    }


def _clusters(
    vectors: Matrix,
    metric: Metric,
    places: npt.NDArray[np.float64],
    values: Sequence[Any],
    texts: Sequence[str],
) -> list[dict[str, Any]]:
    """What lies together, the largest cluster first: the picture in words."""
    number = min(CLUSTERS, len(vectors) // _ROWS_PER_CLUSTER)
    if number < 2:
        return []
    rows = directions_of(vectors) if metric is Metric.COSINE else vectors
    centres = k_means(rows, number, 0, 1)
    owners, distances = (one[:, 0] for one in topk(rows, centres, 1, Metric.EUCLIDEAN, threads=1))
    found = []
    for cluster in np.unique(owners).tolist():
        members = np.flatnonzero(owners == cluster)
        found.append(
            {
                "count": len(members),
                "share": len(members) / len(rows),
                "place": [round(float(one)) for one in places[members].mean(axis=0)],
                "example": int(members[distances[members].argmin()]),
                **_typical([(values[at], texts[at]) for at in members.tolist()]),
            }
        )
    return sorted(found, key=lambda one: -int(one["count"]))


def _typical(values: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """Of numbers the median, of others, by their texts, the commonest and its share; nothing where no row has any."""
    known = [(value, text) for value, text in values if value is not None]
    if not known:
        return {"value": None, "value_share": None}
    if _are_numbers([value for value, _ in known]):
        return {"value": sorted(known)[len(known) // 2][1], "value_share": None}
    commonest, count = Counter(text for _, text in known).most_common(1)[0]
    return {"value": commonest, "value_share": count / len(values)}


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def neighbours_json(frame: Frame, rows: Sequence[Mapping[str, Any]], vectors: Sequence[Matrix]) -> list[dict[str, Any]]:
    """``rows`` with the places of their vectors, which need not be in the picture."""
    places = frame.places(frame.plane.place(np.stack(vectors))) if vectors else np.empty((0, 2))
    return [
        {**row, "place": [round(float(x)), round(float(y))]} for row, (x, y) in zip(rows, places.tolist(), strict=True)
    ]
