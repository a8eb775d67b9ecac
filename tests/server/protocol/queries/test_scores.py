"""Functions of scores, which only SDKs of other languages send: as the Node.js one wrote them down."""

from __future__ import annotations

import pytest
from tablestore.protobuf import search_pb2 as sdk

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.queries import Exists, MatchAll
from lutra.model.scoring import (
    CombineMode,
    ConstScore,
    DateOrigin,
    Decay,
    DecayShape,
    FieldValueFactor,
    FunctionMode,
    FunctionsScore,
    GeoOrigin,
    ManyMode,
    Modifier,
    NumberOrigin,
    RandomScore,
    ScoreFunction,
)
from lutra.server.protocol.queries import parse_query
from lutra.server.wire import query_pb2 as wire
from lutra.server.wire import scoring_pb2 as scoring
from lutra.server.wire import times_pb2 as times

DAY_NS = 86_400 * 10**9
SENT = bytes.fromhex(
    "0812128e010a04080b1200123f1a2f0a017810031802221b09cdccccccccccf43f11000000000000f03f19000000000000e03f2900000000"
    "0000e03f300125000000402a07081012030a016b12331a2c0a03646179100118012218120a323032362d30312d30351a0408021005220408"
    "03100629000000000000d03f250000803f12021200180320062d0000803f3500007a44"
)
VALUE_SENT = bytes.fromhex(
    "081212660a04080b1200121a0a130a016e150000003f180321000000000000f03f250000404012341a320a05776865726510021803221c0a08"
    "33302e352c313230110000000000408f4019000000000000244029000000000000e03f180320062d0000803f3500007a44"
)


def test_as_node_sends_them() -> None:
    assert parse_query(wire.Query.FromString(SENT)) == FunctionsScore(
        MatchAll(),
        (
            ScoreFunction(
                Decay("x", NumberOrigin(1.3, 1, 0.5), DecayShape.LINEAR, 0.5, ManyMode.MAX), 2.0, Exists("k")
            ),
            ScoreFunction(Decay("day", DateOrigin("2026-01-05", 2 * DAY_NS, DAY_NS // 8), DecayShape.GAUSS, 0.25)),
            ScoreFunction(RandomScore()),
        ),
        FunctionMode.SUM,
        CombineMode.REPLACE,
        1.0,
        1000.0,
    )
    assert parse_query(wire.Query.FromString(VALUE_SENT)) == FunctionsScore(
        MatchAll(),
        (
            ScoreFunction(FieldValueFactor("n", 0.5, Modifier.LOG1P, 1.0), 3.0),
            ScoreFunction(Decay("where", GeoOrigin(GeoPoint(30.5, 120), 1000, 10), DecayShape.EXP)),
        ),
        FunctionMode.SUM,
        CombineMode.REPLACE,
        1.0,
        1000.0,
    )


EVERYTHING = wire.Query(type=wire.QUERY_TYPE_MATCH_ALL)


def sent(**members: object) -> wire.Query:
    body = scoring.FunctionsScoreQuery(query=EVERYTHING, functions=[scoring.ScoreFunction(**members)])
    return wire.Query(type=wire.QUERY_TYPE_FUNCTIONS_SCORE, query=body.SerializeToString())


def decay(kind: int, param: scoring.DecayDateParam | scoring.DecayNumericParam, shape: int = 1) -> wire.Query:
    return sent(
        decay=scoring.DecayFunction(
            field_name="f", math_function=shape, param_type=kind, param=param.SerializeToString()
        )
    )


def test_const_score() -> None:
    """Python has the message, and no class for it."""
    body = sdk.ConstScoreQuery(filter=sdk.Query(type=sdk.MATCH_ALL_QUERY))
    message = sdk.Query(type=sdk.CONST_SCORE_QUERY, query=body.SerializeToString())
    assert parse_query(wire.Query.FromString(message.SerializeToString())) == ConstScore(MatchAll())


def test_what_is_not_sent_has_its_default() -> None:
    value = sent(field_value_factor=scoring.FieldValueFactorFunction(field_name="f"))
    assert parse_query(value) == FunctionsScore(MatchAll(), (ScoreFunction(FieldValueFactor("f")),))
    moment = scoring.DecayDateParam(origin_long=7, scale=times.DateTimeValue(value=1, unit=9))
    parsed = parse_query(decay(scoring.DECAY_PARAM_TYPE_DATE, moment))
    assert parsed == FunctionsScore(
        MatchAll(), (ScoreFunction(Decay("f", DateOrigin(7, 1_000_000), DecayShape.GAUSS)),)
    )


LONG = scoring.DecayDateParam(origin_long=1, scale=times.DateTimeValue(value=1, unit=times.DATE_TIME_UNIT_MONTH))
BOTH = {"random": scoring.RandomScoreFunction(), "field_value_factor": scoring.FieldValueFactorFunction(field_name="f")}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (sent(**BOTH), r"one of \[field_value_factor\], \[random\], not several"),
        (sent(field_value_factor=scoring.FieldValueFactorFunction()), "field_name"),
        (sent(field_value_factor=scoring.FieldValueFactorFunction(field_name="f", modifier=11)), "Invalid modifier"),
        (decay(scoring.DECAY_PARAM_TYPE_NUMERIC, scoring.DecayNumericParam(), 4), "Invalid math function"),
        (decay(7, scoring.DecayNumericParam()), "Invalid parameter type of the decay"),
        (decay(scoring.DECAY_PARAM_TYPE_DATE, scoring.DecayDateParam()), r"has no \[origin\]"),
        (decay(scoring.DECAY_PARAM_TYPE_DATE, LONG), "units up to days"),
        (sent(filter=wire.Query()), "a query has no type"),
        (wire.Query(type=wire.QUERY_TYPE_FUNCTIONS_SCORE), r"has no \[query\]"),
        (wire.Query(type=wire.QUERY_TYPE_FUNCTION_SCORE), r"has no \[query\]"),
        (wire.Query(type=wire.QUERY_TYPE_CONST_SCORE), r"has no \[filter\]"),
        (
            wire.Query(
                type=wire.QUERY_TYPE_FUNCTIONS_SCORE,
                query=scoring.FunctionsScoreQuery(query=EVERYTHING, score_mode=9).SerializeToString(),
            ),
            "Invalid score mode of functions",
        ),
    ],
)
def test_refuses(query: wire.Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        parse_query(query)
