"""What a query matches, its score times the value of a field."""

from __future__ import annotations

from lutra.model.scoring import CombineMode, FieldValueFactor, FunctionMode, FunctionScore
from lutra.search.binder import Binder
from lutra.search.functions import bind_function
from lutra.search.nodes.functions_score import Scoring, rescored_by
from lutra.search.nodes.node import Clause
from lutra.search.nodes.registry import binds


@binds(FunctionScore)
def bind(query: FunctionScore, binder: Binder) -> Clause:
    inner = binder.bind(query.query)
    value = bind_function(FieldValueFactor(query.field), binder)
    functions = (Scoring(value, 1.0),)
    return Clause(rescored_by(binder, inner, functions, FunctionMode.MULTIPLY, CombineMode.MULTIPLY), 1.0)
