"""Rows with a field of most kinds, the same for the same arguments, and what an index makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.text import corpus, texts_of
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions

KINDS: Final = 1_000
COLOURS: Final = ("red", "green", "blue", "black", "white", "yellow", "grey", "brown", "pink", "violet")
PARTS: Final = 1_000
FIRST_MS: Final = 1_704_067_200_000
"""2024-01-01; the moments of rows are in the two years from then on."""
YEARS_MS: Final = 2 * 366 * 86_400_000
_WORDS_MAX: Final = 1_000_000
CITIES: Final = ((31.2, 121.5), (52.5, 13.4), (-33.9, 151.2), (37.8, -122.4), (-23.6, -46.6), (28.6, 77.2))
"""Latitude and longitude of where rows lie close together."""


def schema(dimension: int) -> IndexSchema:
    """Of the index."""
    items = (FieldSchema("part", FieldType.KEYWORD), FieldSchema("amount", FieldType.LONG))
    return IndexSchema(
        (
            FieldSchema("n", FieldType.LONG),
            FieldSchema("price", FieldType.DOUBLE),
            FieldSchema("kind", FieldType.KEYWORD),
            FieldSchema("colour", FieldType.KEYWORD),
            FieldSchema("at", FieldType.DATE),
            FieldSchema("text", FieldType.TEXT),
            FieldSchema("place", FieldType.GEO_POINT),
            FieldSchema("items", FieldType.NESTED, fields=items),
            FieldSchema("embedding", FieldType.VECTOR, vector=VectorOptions(dimension)),
        )
    )


@dataclass(frozen=True)
class Rows:
    """``count`` rows, column by column."""

    count: int
    dimension: int

    def _random(self, of: int) -> np.random.Generator:
        return np.random.default_rng((of, self.count))

    @cached_property
    def n(self) -> npt.NDArray[np.int64]:
        """Each number below ``count`` once."""
        return self._random(1).permutation(self.count)

    @cached_property
    def price(self) -> npt.NDArray[np.float64]:
        return self._random(2).lognormal(3, 1, self.count).round(2)

    @cached_property
    def kind(self) -> npt.NDArray[np.int64]:
        """Numbers of `KINDS`."""
        return self._random(3).integers(0, KINDS, self.count)

    @cached_property
    def colour(self) -> npt.NDArray[np.int64]:
        """Numbers of `COLOURS`."""
        return self._random(4).integers(0, len(COLOURS), self.count)

    @cached_property
    def at_ms(self) -> npt.NDArray[np.int64]:
        return FIRST_MS + self._random(5).integers(0, YEARS_MS, self.count)

    @cached_property
    def texts(self) -> list[str]:
        return texts_of(corpus(_WORDS_MAX), self.count)

    @cached_property
    def places(self) -> npt.NDArray[np.float64]:
        """[count, 2]: most around a city, one in ten anywhere."""
        random = self._random(6)
        near = np.array(CITIES)[random.integers(0, len(CITIES), self.count)]
        near = near + random.normal(0, 0.5, (self.count, 2))
        anywhere = random.uniform((-89, -180), (89, 180), (self.count, 2))
        places: npt.NDArray[np.float64] = np.where(random.random((self.count, 1)) < 0.1, anywhere, near)
        return places.round(5)

    @cached_property
    def items(self) -> list[list[tuple[int, int]]]:
        """Of each row one to three parts, and how many of them."""
        random = self._random(7)
        sizes = random.integers(1, 4, self.count).tolist()
        parts = random.integers(0, PARTS, 3 * self.count).tolist()
        amounts = random.integers(1, 100, 3 * self.count).tolist()
        pairs = list(zip(parts, amounts, strict=True))
        return [pairs[3 * row : 3 * row + size] for row, size in enumerate(sizes)]

    @cached_property
    def _centres(self) -> npt.NDArray[np.float32]:
        return self._random(8).standard_normal((100, self.dimension), dtype=np.float32)

    def vectors(self, first: int, count: int) -> npt.NDArray[np.float32]:
        """Of rows ``first`` and on: around a hundred centres."""
        random = np.random.default_rng((9, first))
        noise = random.standard_normal((count, self.dimension), dtype=np.float32)
        return self._centres[random.integers(0, len(self._centres), count)] + np.float32(0.7) * noise

    def blocks(self, size: int) -> Iterator[list[tuple[str, list[tuple[str, Any]]]]]:
        """Key and columns of each row, ``size`` rows at a time."""
        for first in range(0, self.count, size):
            numbers = range(first, min(first + size, self.count))
            vectors = self.vectors(first, len(numbers))
            yield [(key_of(row), self._columns(row, vectors[row - first])) for row in numbers]

    def _columns(self, row: int, vector: npt.NDArray[np.float32]) -> list[tuple[str, Any]]:
        lat, lon = self.places[row].tolist()
        items = [{"part": part_of(part), "amount": amount} for part, amount in self.items[row]]
        return [
            ("at", int(self.at_ms[row])),
            ("colour", COLOURS[self.colour[row]]),
            ("embedding", vector.astype("<f4").tobytes()),
            ("items", json.dumps(items)),
            ("kind", kind_of(int(self.kind[row]))),
            ("n", int(self.n[row])),
            ("place", f"{lat},{lon}"),
            ("price", float(self.price[row])),
            ("text", self.texts[row]),
        ]


def key_of(row: int) -> str:
    return f"{row * 7_919 % 100_000_007:09d}-{row:08d}"


def row_of(key: str) -> int:
    """Of the row with that key."""
    return int(key[-8:])


def kind_of(number: int) -> str:
    return f"kind-{number:04d}"


def part_of(number: int) -> str:
    return f"part-{number:04d}"
