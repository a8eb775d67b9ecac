import pytest

import lutra
from lutra.instance.expression import And, Between, Comparison, Not, OneOf, Operator, Or, Present, StartsWith


def test_operators_make_the_tree_they_read_as() -> None:
    year, kind = lutra.col("year"), lutra.col("kind")
    assert (year == 1) == Comparison("year", Operator.EQUAL, 1)
    assert (year != 1) == Not(Comparison("year", Operator.EQUAL, 1))
    assert (year < 1) == Comparison("year", Operator.LESS_THAN, 1)
    assert (year <= 1) == Comparison("year", Operator.LESS_EQUAL, 1)
    assert (year > 1) == Comparison("year", Operator.GREATER_THAN, 1)
    assert (year >= 1) == Comparison("year", Operator.GREATER_EQUAL, 1)
    assert year.between(1, 2) == Between("year", 1, 2)
    assert kind.is_in(["a", "b"]) == OneOf("kind", ("a", "b"))
    assert kind.starts_with("a") == StartsWith("kind", "a")
    assert kind.is_true() == Comparison("kind", Operator.EQUAL, True)
    assert kind.is_false() == Comparison("kind", Operator.EQUAL, False)
    assert kind.exists() == Present("kind")
    assert kind.is_missing() == Not(Present("kind"))


def test_chains_stay_flat() -> None:
    a, b, c = (lutra.col(name) == 1 for name in "abc")
    assert a & b & c == And((a, b, c))
    assert a & (b & c) == And((a, b, c))
    assert a | b | c == Or((a, b, c))
    assert a & b | c == Or((And((a, b)), c))
    assert ~(a & b) == Not(And((a, b)))


def test_and_or_not_and_chained_comparisons_do_not_pass_in_silence() -> None:
    a = lutra.col("a") == 1
    with pytest.raises(TypeError, match="instead of and, or, not"):
        _ = a and a
    with pytest.raises(TypeError, match="instead of and, or, not"):
        _ = not a
    with pytest.raises(TypeError, match="between"):
        _ = 1 < lutra.col("a") < 5
    with pytest.raises(TypeError, match=r"write col\('a'\) == 'x'"):
        _ = "x" in lutra.col("a")


def test_forgotten_parentheses_are_named() -> None:
    with pytest.raises(TypeError, match="in parentheses"):
        _ = lutra.col("a") >= 1 & lutra.col("b")
    with pytest.raises(TypeError, match="in parentheses"):
        _ = (lutra.col("a") == 1) | lutra.col("b")


def test_operands_that_cannot_be_meant_are_refused() -> None:
    column = lutra.col("a")
    with pytest.raises(TypeError, match="is_missing"):
        _ = column == None  # noqa: E711
    with pytest.raises(TypeError, match="another column"):
        _ = column < lutra.col("b")
    with pytest.raises(TypeError, match="list of values"):
        column.is_in("abc")
    with pytest.raises(TypeError, match="takes a str"):
        column.starts_with(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name of a column"):
        lutra.col(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _ = (column == 1) & True  # type: ignore[operator]
    with pytest.raises(TypeError, match="unhashable"):
        _ = {column}
