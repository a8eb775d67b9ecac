"""Filter expressions: what ``lutra.col("year") >= 2020`` makes, to be joined by ``&``, ``|`` and ``~``.

Two-valued logic: a comparison with a field the row does not have is false, so ``col("a") != 1`` and
``~(col("a") == 1)`` both hold of a row without ``a``. On an array field a comparison holds where it holds of any
element. Comparisons are exact: what is compared with need not be a value that the column can hold.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from lutra.instance.aggregates import Aggregate, Bucket, Unit, interval_of
from lutra.instance.encoding import encode_float, point_of, points_of
from lutra.instance.factors import DecayBoost, FactorBoost, ModifierName, ShapeName
from lutra.instance.ranges import Ranges
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon

Point = GeoPoint | tuple[float, float]
"""A point, or its latitude and longitude in degrees."""
Area = GeoBoundingBox | GeoDistance | GeoPolygon


class Operator(enum.Enum):
    """How a comparison reads, as in Python."""

    EQUAL = "=="
    LESS_THAN = "<"
    LESS_EQUAL = "<="
    GREATER_THAN = ">"
    GREATER_EQUAL = ">="


class Expression:
    """What a row must satisfy. Made from :func:`lutra.col`; joined by ``&`` (and), ``|`` (or), ``~`` (not)."""

    __slots__ = ()

    def __and__(self, other: Expression) -> Expression:
        if not isinstance(other, Expression):
            return NotImplemented
        return And((*_parts(self, And), *_parts(other, And)))

    def __or__(self, other: Expression) -> Expression:
        if not isinstance(other, Expression):
            return NotImplemented
        return Or((*_parts(self, Or), *_parts(other, Or)))

    def __invert__(self) -> Expression:
        return Not(self)

    def __bool__(self) -> NoReturn:
        # `a and b`, `a or b`, `not a` and `1 < col < 5` would each silently drop a part.
        raise TypeError(
            "a filter expression has no truth value: join parts by & | ~ instead of and, or, not, and write "
            "col(...).between(low, high) for a range"
        )


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    column: str
    operator: Operator
    value: object


@dataclass(frozen=True, slots=True)
class Between(Expression):
    column: str
    low: object
    high: object


@dataclass(frozen=True, slots=True)
class OneOf(Expression):
    column: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class StartsWith(Expression):
    column: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Present(Expression):
    column: str


@dataclass(frozen=True, slots=True)
class Within(Expression):
    """A point of the column lies in ``area``, which names it."""

    column: str
    area: Area


@dataclass(frozen=True, slots=True)
class AnyRecord(Expression):
    """A record of the column satisfies ``condition``, whose columns are the record's fields."""

    column: str
    condition: Expression


@dataclass(frozen=True, slots=True)
class And(Expression):
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or(Expression):
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not(Expression):
    part: Expression


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by; made by :meth:`Column.asc`, :meth:`Column.desc` and :meth:`Column.distance_from`."""

    column: str
    descending: bool = False
    points: tuple[GeoPoint, ...] = ()
    """Of points: what they are ordered by how far they are from."""

    def desc(self) -> Order:
        """The other way round: the farthest first."""
        return replace(self, descending=not self.descending)


class Column:
    """A column by its name; comparing it makes an :class:`Expression`."""

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"col() takes the name of a column, not {type(name).__name__}")
        self.name = name

    def __repr__(self) -> str:
        return f"col({self.name!r})"

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return self._compare(Operator.EQUAL, value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return Not(self._compare(Operator.EQUAL, value))

    def __lt__(self, value: object) -> Expression:
        return self._compare(Operator.LESS_THAN, value)

    def __le__(self, value: object) -> Expression:
        return self._compare(Operator.LESS_EQUAL, value)

    def __gt__(self, value: object) -> Expression:
        return self._compare(Operator.GREATER_THAN, value)

    def __ge__(self, value: object) -> Expression:
        return self._compare(Operator.GREATER_EQUAL, value)

    def between(self, low: object, high: object) -> Expression:
        """Both ends included."""
        return Between(self.name, self._operand(low), self._operand(high))

    def is_in(self, values: Iterable[object]) -> Expression:
        """Equal to one of ``values``; false of every row where there are none."""
        if isinstance(values, str | bytes):
            raise TypeError(f"{self!r}.is_in() takes a list of values, not one {type(values).__name__}")
        return OneOf(self.name, tuple(values))

    def starts_with(self, prefix: str) -> Expression:
        if not isinstance(prefix, str):
            raise TypeError(f"{self!r}.starts_with() takes a str, not {type(prefix).__name__}")
        return StartsWith(self.name, prefix)

    def exists(self) -> Expression:
        """The row has a value in this column: of the column's type, and not an empty list."""
        return Present(self.name)

    def is_missing(self) -> Expression:
        return Not(Present(self.name))

    def is_true(self) -> Expression:
        """``== True``, which linters of code take for a mistake."""
        return self._compare(Operator.EQUAL, True)

    def is_false(self) -> Expression:
        """``== False``; of a row without the column neither holds."""
        return self._compare(Operator.EQUAL, False)

    def within(self, metres: float, of: Point) -> Expression:
        """A point of the column is no farther than so many metres from another, along the great circle."""
        return Within(self.name, GeoDistance(self.name, point_of(of), encode_float(metres)))

    def in_box(self, top_left: Point, bottom_right: Point) -> Expression:
        """A point of the column lies between two corners; across the date line where the left one is east."""
        return Within(self.name, GeoBoundingBox(self.name, point_of(top_left), point_of(bottom_right)))

    def in_polygon(self, points: Sequence[Point]) -> Expression:
        """A point of the column lies in a polygon of three corners or more, whose edges do not cross."""
        return Within(self.name, GeoPolygon(self.name, points_of(points, f"{self!r}.in_polygon()")))

    def any(self, condition: Expression) -> Expression:
        """One of the column's records satisfies all of ``condition``, whose columns are the record's fields:
        ``col("items").any((col("sku") == "a") & (col("count") > 2))``."""
        if not isinstance(condition, Expression):
            raise TypeError(f"{self!r}.any() takes a condition on a record, such as col('sku') == 'a'")
        return AnyRecord(self.name, condition)

    def distance_from(self, *points: Point) -> Order:
        """The order of how far the column's points are from the nearest of ``points``, nearest first."""
        if not points:
            raise TypeError(f"{self!r}.distance_from() takes a point, or several")
        return Order(self.name, points=points_of(points, f"{self!r}.distance_from()"))

    def count(self) -> Aggregate:
        """How many values the column has."""
        return Aggregate("count", self.name)

    def distinct(self) -> Aggregate:
        """How many different values the column has: of very many about."""
        return Aggregate("distinct", self.name)

    def avg(self) -> Aggregate:
        """The average of the column's values."""
        return Aggregate("avg", self.name)

    def sum(self) -> Aggregate:
        """The sum of the column's values; of ints exact."""
        return Aggregate("sum", self.name)

    def min(self) -> Aggregate:
        """The least of the column's values."""
        return Aggregate("min", self.name)

    def max(self) -> Aggregate:
        """The greatest of the column's values."""
        return Aggregate("max", self.name)

    def percentiles(self, *percentiles: float) -> Aggregate:
        """Values below which so many percent of the column's values are, each 0 to 100: a dict."""
        return Aggregate("percentiles", self.name, tuple(map(encode_float, percentiles)))

    def every(self, interval: float | Unit, count: int = 1, *, time_zone: str | None = None) -> Bucket:
        """Intervals to group by: of numbers so long each, or of dates ``count`` units (``"day"``, ``"month"``), by the
        calendar of ``time_zone`` (``"Europe/Berlin"``, ``"+08:00"``), else of UTC."""
        return interval_of(self.name, interval, count, time_zone)

    def ranges(self, *bounds: object) -> Ranges:
        """Ranges to group by, of numbers or dates: between ascending bounds, before the first and from the last on.

        ``docs.group_by(col("price").ranges(10, 100))`` makes three groups, whose keys are ``(None, 10)``, ``(10, 100)``
        and ``(100, None)``: a range has its lower bound, and not its upper one. Those without rows come too."""
        return Ranges(self.name, bounds)

    def distance_ranges(self, of: Point, *metres: float) -> Ranges:
        """Ranges to group by, of how far the column's points are from another: as :meth:`ranges`, from 0 on.

        ``shops.group_by(col("at").distance_ranges((52.5, 13.4), 1_000, 5_000))``"""
        return Ranges(self.name, metres, point_of(of))

    def factor(
        self, modifier: ModifierName = "none", *, times: float = 1.0, missing: float | None = None
    ) -> FactorBoost:
        """For ``search(boost=...)``: scores are multiplied by ``modifier`` of ``times`` the column's value, an int or
        float: as it is, or its ``log1p``, ``ln1p``, ``sqrt``, ``reciprocal`` ... (``log`` is to base 10). Rows without
        a value count as if it were ``missing``; without that, they keep their score. ::

            docs.search(text="otters", boost=col("likes").factor("log2p", missing=0))
        """
        return FactorBoost(self.name, modifier, times, missing)

    def decay(
        self, origin: object, scale: object, *, offset: object = None, at_scale: float = 0.5, shape: ShapeName = "gauss"
    ) -> DecayBoost:
        """For ``search(boost=...)``: scores are multiplied by 1 at ``origin``, by ``at_scale`` so far from it as
        ``scale`` (and ``offset``, up to which nothing is lost), and by ever less beyond; of rows without a value by 1.

        Of numbers, of dates (``scale`` and ``offset`` are timedeltas) and of points (metres). ``shape``: how it falls,
        ``gauss``, ``exp`` or ``linear``. ::

            docs.search(vector, boost=col("published").decay(now, dt.timedelta(days=30)))
        """
        return DecayBoost(self.name, origin, scale, offset, at_scale, shape)

    def asc(self) -> Order:
        return Order(self.name)

    def desc(self) -> Order:
        return Order(self.name, descending=True)

    def _compare(self, operator: Operator, value: object) -> Comparison:
        return Comparison(self.name, operator, self._operand(value))

    def _operand(self, value: object) -> object:
        if value is None:
            raise TypeError(f"a column is never None: write {self!r}.is_missing() or {self!r}.exists()")
        if isinstance(value, Column | Expression):
            raise TypeError(f"{self!r} compares with a value, not with another column or expression")
        return value

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(f"write {self!r} == {value!r}: of a list it holds where one of its values is that")

    def _unbracketed(self, _other: object) -> NoReturn:
        raise TypeError("& and | bind tighter than comparisons: put each comparison in parentheses")

    __and__ = __rand__ = __or__ = __ror__ = _unbracketed


def col(name: str) -> Column:
    """The column of that name, for filters and sorting: ``(col("year") >= 2020) & col("kind").is_in(["a", "b"])``."""
    return Column(name)


def _parts(expression: Expression, kind: type[And] | type[Or]) -> tuple[Expression, ...]:
    # a & b & c becomes one And of three: queries stay shallow.
    return expression.parts if isinstance(expression, kind) else (expression,)
