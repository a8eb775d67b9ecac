"""What scores a row otherwise: constant, the best of several queries, functions of its values."""

from __future__ import annotations

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query
from lutra.model.scoring import (
    CombineMode,
    ConstScore,
    DisMax,
    FieldValueFactor,
    FunctionMode,
    FunctionScore,
    FunctionsScore,
    Modifier,
    RandomScore,
    ScoreFunction,
)
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.queries.decays import parse_decay
from lutra.server.protocol.queries.parts import body_of, field_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire
from lutra.server.wire import scoring_pb2 as scoring


@parses(wire.QUERY_TYPE_CONST_SCORE)
def parse_const_score(body: bytes, reader: Reader, depth: int) -> ConstScore:
    message = body_of(scoring.ConstScoreQuery, body)
    if not message.HasField("filter"):
        raise ParameterInvalid("a ConstScoreQuery has no [filter]")
    return ConstScore(reader.read(message.filter, depth))


@parses(wire.QUERY_TYPE_DIS_MAX)
def parse_dis_max(body: bytes, reader: Reader, depth: int) -> DisMax:
    message = body_of(scoring.DisMaxQuery, body)
    queries = tuple(reader.read(query, depth) for query in message.queries)
    return DisMax(queries, message.tie_breaker, weight_of(message))


@parses(wire.QUERY_TYPE_FUNCTION_SCORE)
def parse_function_score(body: bytes, reader: Reader, depth: int) -> FunctionScore:
    message = body_of(scoring.FunctionScoreQuery, body)
    return FunctionScore(_query(message, reader, depth), field_of(message.field_value_factor))


@parses(wire.QUERY_TYPE_FUNCTIONS_SCORE)
def parse_functions_score(body: bytes, reader: Reader, depth: int) -> FunctionsScore:
    message = body_of(scoring.FunctionsScoreQuery, body)
    mode, combine = FunctionMode.MULTIPLY, CombineMode.MULTIPLY
    if message.HasField("score_mode"):
        mode = enum_of(FunctionMode, message.score_mode, "score mode of functions")
    if message.HasField("combine_mode"):
        combine = enum_of(CombineMode, message.combine_mode, "combine mode of functions")
    return FunctionsScore(
        _query(message, reader, depth),
        tuple(_function(function, reader, depth) for function in message.functions),
        mode,
        combine,
        message.min_score if message.HasField("min_score") else None,
        message.max_score if message.HasField("max_score") else None,
    )


def _query(message: scoring.FunctionScoreQuery | scoring.FunctionsScoreQuery, reader: Reader, depth: int) -> Query:
    if not message.HasField("query"):
        raise ParameterInvalid(f"a {type(message).__name__} has no [query]")
    return reader.read(message.query, depth)


def _function(message: scoring.ScoreFunction, reader: Reader, depth: int) -> ScoreFunction:
    given = [name for name in ("field_value_factor", "random", "decay") if message.HasField(name)]
    if len(given) > 1:
        raise ParameterInvalid(f"a function of scores is one of [{'], ['.join(given)}], not several")
    function: FieldValueFactor | RandomScore | None = None
    if given == ["field_value_factor"]:
        function = _field_value_factor(message.field_value_factor)
    elif given == ["random"]:
        function = RandomScore()
    return ScoreFunction(
        parse_decay(message.decay) if given == ["decay"] else function,
        weight_of(message),
        reader.read(message.filter, depth) if message.HasField("filter") else None,
    )


def _field_value_factor(message: scoring.FieldValueFactorFunction) -> FieldValueFactor:
    modifier = Modifier.NONE
    if message.HasField("modifier"):
        modifier = enum_of(Modifier, message.modifier, "modifier of a field's value")
    return FieldValueFactor(
        field_of(message),
        message.factor if message.HasField("factor") else 1.0,
        modifier,
        message.missing if message.HasField("missing") else None,
    )
