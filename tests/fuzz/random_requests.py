"""Requests made at random from the descriptors of their messages: most make sense, and any part may be odd.

Bytes that are messages again are made as such (a query's body by its type, say), names are mostly those of the fuzzed
index, and values mostly of their field's type. So one in a few passes all checks, and is carried out.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lutra.kernels.plainbuffer import encode_change, encode_key, encode_variant
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, TextOptions, VectorOptions
from lutra.server.wire import aggregation_pb2, index_pb2, query_pb2, row_pb2, scan_pb2, scoring_pb2
from lutra.server.wire import nested_pb2 as nested
from lutra.server.wire import query_pb2 as wire

SCALARS: Final = [kind for kind in FieldType if kind not in (FieldType.VECTOR, FieldType.NESTED, FieldType.JSON)]
DEPTH_MAX: Final = 7
KEYS: Final = 40


def fuzzed_schema() -> IndexSchema:
    """Fields of every kind, alone, as arrays, in objects, nested, and virtual."""
    vector = FieldSchema("vector", FieldType.VECTOR, sort_and_aggregate=False, vector=VectorOptions(2))
    scalars = [
        FieldSchema(kind.name.lower(), kind, text=TextOptions(highlighting=True) if kind is FieldType.TEXT else None)
        for kind in SCALARS
    ]
    below = (*scalars, vector)
    arrays = (
        FieldSchema("longs", FieldType.LONG, is_array=True),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
    )
    inner = FieldSchema("inner", FieldType.NESTED, fields=(*scalars[:5],))
    return IndexSchema(
        (
            *below,
            *arrays,
            FieldSchema("places", FieldType.GEO_POINT, is_array=True),
            FieldSchema("virtual", FieldType.KEYWORD, is_virtual=True, sources=("long",)),
            FieldSchema("nested", FieldType.NESTED, fields=(*below, inner)),
            FieldSchema("object", FieldType.JSON, json_type=JsonType.OBJECT, fields=(*scalars, inner)),
            FieldSchema("documents", FieldType.JSON, json_type=JsonType.NESTED, fields=tuple(scalars)),
        )
    )


def _paths(fields: tuple[FieldSchema, ...], prefix: str = "") -> dict[str, FieldType]:
    found = {}
    for field in fields:
        found[prefix + field.name] = field.type
        found |= _paths(field.fields, f"{prefix}{field.name}.")
    return found


FIELDS: Final = _paths(fuzzed_schema().fields)
SPACES: Final = ["nested", "nested.inner", "object.inner", "documents"]
ODD_STRINGS: Final = [
    "",
    "\0",
    "é" * 50,
    "a" * 5_000,
    "*",
    "?" * 40,
    "*a" * 16,
    "\U0001f9a6",
    "-",
    "1e999",
    "NaN",
    "%",
    "50%",
]
ODD_TEXTS: Final = [
    "null", "[]", "{}", "[" * 3_000, '{"a":' * 3_000, "[NaN]", "[1e999]", "[" + "9" * 5_000 + "]", '["\\ud800"]',
    '{"long":1e400}', '[{"long":1},{"long":"x"},null,[]]', "[" + "{}," * 300 + "{}]", '"', '[1,2]', "[true]",
    '{"a":1,"a":2}', "[null]", '[["1,2"],["3,4"]]', "-0", "[-0.0]",
    '[{"inner":[{"inner":[{}]}]}]', '{"\\u0000":"\\u0000"}',
    "[" + "1," * 300 + "1]", "[18446744073709551616]", "2026-02-30", "0x10",
]  # fmt: skip
PLACES: Final = [
    "0,0", "1,2", "-90,180", "90,-180", "45.5,-179.99999999", "10,10", "10,20", "20,20", "20,10",
    "91,0", "0,181", "1", "1,2,3", "nan,nan", "inf,0", " 1 , 2 ", "1e1,2", "", ",", "0x1,1", "-0,-0", "9" * 400 + ",1",
]  # fmt: skip
NETWORKS: Final = [
    "10.0.0.1", "10.0.0.0/8", "::1", "::/0", "0.0.0.0/0", "10.1/16", "1.2.3.4/33", "::ffff:1.2.3.4", "fe80::1%eth0",
    "256.1.1.1", "01.02.03.04", "::" * 9, "1.2.3.4/-1", "2001:db8::/129", "",
]  # fmt: skip
DATES: Final = ["2026-11-23", "1969-12-31", "2026-11-23T10:00:00.000Z", "9999-12-31", "0000-00-00", "x", "-1"]
INTEGERS: Final = [0, 1, 2, 5, 100, 1_000, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**53 + 1]
REALS: Final = [0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -0.0, float("nan"), float("inf"), float("-inf"), 100.0, 5e-324]

_QUERIES: Final[dict[int, Any]] = {}
for _number, _value in query_pb2.QueryType.DESCRIPTOR.values_by_number.items():
    _name = "".join(word.title() for word in _value.name.removeprefix("QUERY_TYPE_").split("_")) + "Query"
    for _module in (query_pb2, scoring_pb2, nested):
        if hasattr(_module, _name):
            _QUERIES[_number] = getattr(_module, _name)
assert len(_QUERIES) == 20
_GROUP_BYS: Final = {
    1: aggregation_pb2.GroupByField,
    2: aggregation_pb2.GroupByRange,
    3: aggregation_pb2.GroupByFilter,
    4: aggregation_pb2.GroupByGeoDistance,
    5: aggregation_pb2.GroupByHistogram,
    6: aggregation_pb2.GroupByDateHistogram,
    7: aggregation_pb2.GroupByGeoGrid,
    8: aggregation_pb2.GroupByComposite,
}
_AGGREGATIONS: Final = {7: aggregation_pb2.TopRowsAggregation, 8: aggregation_pb2.PercentilesAggregation}
_WITHIN: Final = {
    "SearchRequest.search_query": query_pb2.SearchQuery,
    "SearchQuery.aggs": aggregation_pb2.Aggregations,
    "SearchQuery.group_bys": aggregation_pb2.GroupBys,
}
_WANTED: Final = {
    "search_query", "query", "body", "scan_query", "search_index_splits_options", "schema", "field_schemas", "param",
    "filter", "functions", "queries", "filters", "sources", "ranges", "interval", "precision", "value", "unit", "aggs",
    "group_bys", "percentiles", "highlight_parameters", "table_name", "index_name", "name", "path", "points", "term",
    "terms", "center_point", "top_left", "bottom_right", "prefix", "suffix", "text", "distance", "top_k",
    "float32_query_vector", "math_function", "param_type", "decay", "sub_agg_name", "lat", "lon",
    "must_queries", "field_type", "return_type", "highlight_encoder", "fragments_order", "begin", "end", "sorter",
    "column_names", "field_value_factor", "scale", "origin",
    "field_name", "dimension", "origin_long", "tie_breaker",
}  # fmt: skip
"""Fields that a message makes no sense without."""
_ONE_OF: Final = {
    "Sorter": None, "GroupBySorter": None, "ScoreFunction": ("field_value_factor", "random", "decay"),
}  # fmt: skip
"""Messages that have one of these fields, or of all."""
_UNLIKELY: Final = {
    "token",
    "next_token",
    "switch_index_name",
    "source_index_name",
    "query_flow_weight",
    "sub_group_bys",
}
_USUAL: Final = {
    "current_parallel_id": 0, "offset": 0, "track_total_count": 0, "time_to_live": -1, "max_parallel": 1,
}  # fmt: skip
"""What numbers are that are seldom anything else."""
_PLAIN: Final = {FieldType.LONG, FieldType.DOUBLE, FieldType.DATE}
_WORDS: Final = {FieldType.KEYWORD, FieldType.FUZZY_KEYWORD}
_POINTS: Final = {FieldType.GEO_POINT}
_FITS: Final = {
    "GeoDistanceQuery": _POINTS, "GeoBoundingBoxQuery": _POINTS, "GeoPolygonQuery": _POINTS, "GeoDistanceSort": _POINTS,
    "GroupByGeoDistance": _POINTS, "GroupByGeoGrid": _POINTS, "KnnVectorQuery": {FieldType.VECTOR},
    "MatchQuery": {FieldType.TEXT}, "MatchPhraseQuery": {FieldType.TEXT}, "HighlightParameter": {FieldType.TEXT},
    "PrefixQuery": _WORDS, "SuffixQuery": _WORDS, "WildcardQuery": _WORDS,
    "RangeQuery": {*_PLAIN, *_WORDS, FieldType.IP}, "GroupByDateHistogram": {FieldType.DATE},
    "FieldSort": {*_PLAIN, FieldType.KEYWORD, FieldType.IP}, "Collapse": {FieldType.LONG, FieldType.KEYWORD},
    "FieldAggregation": _PLAIN, "PercentilesAggregation": _PLAIN, "GroupByRange": _PLAIN,
    "GroupByHistogram": {FieldType.LONG, FieldType.DOUBLE}, "GroupByField": {*_PLAIN, FieldType.KEYWORD},
    "FieldValueFactor": {FieldType.LONG}, "FieldValueFactorFunction": {FieldType.LONG, FieldType.DOUBLE},
    "DecayFunction": {*_PLAIN, FieldType.GEO_POINT}, "TermQuery": {*_PLAIN, *_WORDS, FieldType.IP, FieldType.BOOLEAN},
    "TermsQuery": {*_PLAIN, *_WORDS, FieldType.IP}, "ExistsQuery": set(FieldType) - {FieldType.VECTOR},
}  # fmt: skip
_CHANGING: Final = (
    "CreateSearchIndexRequest",
    "UpdateSearchIndexRequest",
    "DeleteSearchIndexRequest",
    "QueryFlowWeight",
)
_ANYWHERE: Final = {name for name in _FITS if name.startswith(("GroupBy", "Field", "Percentiles"))} - {"FieldSort"}
"""Of what may name fields of nested documents outside of nested queries."""


class RandomRequests:
    """Makes requests; what answers gave, it may ask with again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._tokens: list[bytes] = []
        self._sessions: list[bytes] = []
        self._oddness = 0.0
        self._scope = ""
        self._is_source = False

    def keep_token(self, token: bytes) -> None:
        """Of an answer, to be asked with again."""
        self._tokens = [*self._tokens, token][-10:]

    def keep_session(self, session: bytes) -> None:
        self._sessions = [*self._sessions, session][-5:]

    def request(self) -> tuple[str, bytes]:
        """An operation's name, and its body."""
        self._oddness = self.random.choice([0.0, 0.0, 0.0, 0.01, 0.03])
        self._scope = ""
        kinds: dict[str, tuple[Any, int]] = {
            "Search": (query_pb2.SearchRequest, 12),
            "ParallelScan": (scan_pb2.ParallelScanRequest, 3),
            "ComputeSplits": (scan_pb2.ComputeSplitsRequest, 1),
            "CreateSearchIndex": (index_pb2.CreateSearchIndexRequest, 1),
            "UpdateSearchIndex": (index_pb2.UpdateSearchIndexRequest, 1),
            "DeleteSearchIndex": (index_pb2.DeleteSearchIndexRequest, 1),
            "DescribeSearchIndex": (index_pb2.DescribeSearchIndexRequest, 1),
            "PutRow": (row_pb2.PutRowRequest, 6),
        }
        [name] = self.random.choices(list(kinds), [weight for _, weight in kinds.values()])
        if name == "PutRow":
            return name, self.row(self.random.randrange(KEYS), odd=True)
        message = kinds[name][0]()
        self.fill(message, 0)
        return name, message.SerializePartialToString()

    def row(self, number: int, *, odd: bool) -> bytes:
        """A PutRow of one of `KEYS` rows."""
        columns = ["long", *FIELDS, "longs", "tags", "places"]
        names = [name for name in columns if "." not in name and self.random.random() < 0.7]
        cells = [(name, self.column(name, odd), None, 0) for name in dict.fromkeys(names)]
        request = row_pb2.PutRowRequest(table_name="t", row=encode_change((("a", "x"), ("b", number)), cells, False))
        request.condition.row_existence = row_pb2.ROW_EXISTENCE_EXPECTATION_IGNORE
        return request.SerializeToString()

    def column(self, name: str, odd: bool) -> Any:
        """A value that the table column of a field may have."""
        if odd and self.random.random() < 0.15:
            return self.random.choice([*ODD_TEXTS, *ODD_STRINGS, *INTEGERS, b"\xff", True, 0.5])
        kind = FIELDS[name]
        if name in ("longs", "tags", "places"):
            return {"longs": "[1,2,3]", "tags": '["k","x"]', "places": '["1,2","3,4"]'}[name]
        if kind is FieldType.VECTOR:
            return self.random.choice(["[1,2]", "[0,0]", "[1]", "[1e39,0]", b"\0\0\x80\x3f\0\0\0\x40"])
        if kind in (FieldType.NESTED, FieldType.JSON):
            objects = ",".join(self.document(name, odd) for _ in range(self.random.randrange(4)))
            return self.document(name, odd) if name == "object" else f"[{objects}]"
        if kind is FieldType.FLATTENED:
            return self.random.choice(['{"a":{"b":"x"},"c":[1,2]}', '{"a":"k"}'])
        return self.value(kind)

    def document(self, path: str, odd: bool) -> str:
        """An object of a nested or JSON field, as JSON."""
        parts = []
        for name, kind in FIELDS.items():
            parent, _, own = name.rpartition(".")
            if parent != path or self.random.random() < 0.5:
                continue
            if kind is FieldType.NESTED:
                parts.append(f'"{own}":[{self.document(name, odd)},{self.document(name, odd)}]')
            elif odd and self.random.random() < 0.1:
                parts.append(f'"{own}":{self.random.choice(ODD_TEXTS[:12])}')
            elif kind is FieldType.VECTOR:
                parts.append(f'"{own}":[1,2]')
            else:
                parts.append(f'"{own}":{_json(self.value(kind))}')
        return "{" + ",".join(parts) + "}"

    def value(self, kind: FieldType | None) -> Any:
        """One that a query or a row may have for a field of a kind."""
        pick = self.random.choice
        if kind is None or self._is_odd():
            return pick([*INTEGERS, *REALS, *ODD_STRINGS, True, False, b"\xff\x00", pick(PLACES), pick(NETWORKS)])
        return {
            FieldType.LONG: lambda: pick([0, 1, 2, 3, 7, 100, 2**63 - 1, -(2**63)]),
            FieldType.DOUBLE: lambda: pick([0.5, 1.0, -0.0, 1e300, -1e300, 5e-324]),
            FieldType.BOOLEAN: lambda: pick([True, False]),
            FieldType.DATE: lambda: pick([*DATES, 0, 1_700_000_000_000, 2**62]),
            FieldType.GEO_POINT: lambda: pick(PLACES[:9]),
            FieldType.IP: lambda: pick(NETWORKS[:8]),
            FieldType.TEXT: lambda: pick(["a b c", "b c d", "x", "k k k", "中文 a"]),
        }.get(kind, lambda: pick(["k", "x", "abc", "中文", ""]))()

    # --- messages ---------------------------------------------------------------------------------------------------

    def _is_odd(self, times: int = 1) -> bool:
        return self.random.random() < self._oddness * times

    def fill(self, message: Message, depth: int) -> None:
        """Gives a message some of its fields."""
        owner = message.DESCRIPTOR.name
        if owner == "FieldSchema" and not self._is_odd(3):
            self._declare(message, depth)
            return
        number = self._type_of(message, depth)
        kind = self._name_field(message)
        fields = [
            f for f in message.DESCRIPTOR.fields if f.name not in ("field_name", "type") or owner == "FieldSchema"
        ]
        if owner in _ONE_OF and not self._is_odd():
            choice = _ONE_OF[owner] or tuple(field.name for field in fields)
            one = self.random.choice(choice)
            fields = [field for field in fields if field.name not in choice or field.name == one]
        scope = self._scope
        for field in fields:
            is_one = owner in _ONE_OF and len(fields) == 1
            likely = 0.03 if field.name in _UNLIKELY else 0.2
            if field.name in ("aggs", "group_bys") and owner == "SearchQuery":
                likely = 0.4
            elif field.name in _WANTED and not self._is_odd():
                likely = 1.0
            if not is_one and (self.random.random() >= likely or depth > 2 * DEPTH_MAX):
                continue
            if field.name == "query" and owner == "NestedQuery":
                self._scope = message.path  # type: ignore[attr-defined]
            if field.name == "filter" and owner == "NestedFilter":
                self._scope = message.path  # type: ignore[attr-defined]
            if field.label == FieldDescriptor.LABEL_REPEATED:
                self._fill_many(message, field, number, kind, depth)
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                own = getattr(message, field.name)
                own.SetInParent()
                before = self._is_source
                self._is_source = before or field.name == "sources"
                self.fill(own, depth + 1)
                self._is_source = before
            else:
                setattr(message, field.name, self._scalar(message, field, number, kind, depth))
            self._scope = scope

    def _declare(self, message: Message, depth: int) -> None:
        """Makes it a field that goes with the table's columns; now and then with one option too many."""
        pick = self.random.choice
        kind = pick([kind for kind in FieldType if depth < 5 or kind not in (FieldType.NESTED, FieldType.JSON)])
        names = [name for name, own in FIELDS.items() if own is kind and "." not in name]
        message.field_name, message.field_type = pick([*names, f"v{self.random.randrange(9)}"]), kind  # type: ignore[attr-defined]
        if message.field_name not in names:  # type: ignore[attr-defined]
            message.is_virtual_field = True  # type: ignore[attr-defined]
            message.source_field_names.append("keyword")  # type: ignore[attr-defined]
        if kind is FieldType.VECTOR:
            options = message.vector_options  # type: ignore[attr-defined]
            options.data_type, options.dimension, options.metric_type = 2, pick([2, 2, 4_096, 5_000]), pick([0, 1, 2])
        if kind in (FieldType.NESTED, FieldType.JSON):
            if kind is FieldType.JSON:
                message.json_type = pick([1, 2])  # type: ignore[attr-defined]
            below = {pick([kind for kind in FieldType if kind not in (6, 12)]) for _ in range(3)}
            for own in below:
                sub = message.field_schemas.add()  # type: ignore[attr-defined]
                sub.field_name, sub.field_type = own.name.lower(), own
                if own is FieldType.VECTOR:
                    sub.vector_options.data_type, sub.vector_options.dimension = 2, 2
            if self.random.random() < 0.3:
                self.fill(message.field_schemas.add(), depth + 1)  # type: ignore[attr-defined]
        if kind is FieldType.TEXT:
            message.analyzer = pick(["single_word", "split", "fuzzy", "max_word", "min_word", "x"])  # type: ignore[attr-defined]
        if kind is FieldType.DATE:
            message.date_formats.extend(pick([[], ["yyyy-MM-dd"], ["yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"], ["'" * 99]]))  # type: ignore[attr-defined]
        for flag in ("index", "sort_and_agg", "store", "is_array", "enable_highlighting"):
            if self.random.random() < 0.05:
                setattr(message, flag, pick([True, False]))

    def _name_field(self, message: Message) -> FieldType | None:
        """Names a field that goes with the message and where it stands. Returns what kind it is."""
        owner = message.DESCRIPTOR.name
        if owner == "FieldSchema" or "field_name" not in message.DESCRIPTOR.fields_by_name:
            return None
        fits = _FITS.get(owner, set(FieldType))
        names = [name for name, kind in FIELDS.items() if kind in fits and self._space_of(name) == self._scope]
        if owner in _ANYWHERE or self._is_odd() or not names:
            names = [name for name, kind in FIELDS.items() if kind in fits or self._is_odd(5)]
        chosen = self.random.choice(names or ODD_STRINGS)
        message.field_name = self.random.choice(ODD_STRINGS) if self._is_odd() else chosen  # type: ignore[attr-defined]
        return FIELDS.get(chosen)

    @staticmethod
    def _space_of(name: str) -> str:
        return max((space for space in SPACES if name.startswith(f"{space}.")), key=len, default="")

    def _type_of(self, message: Message, depth: int) -> int:
        """Of a query, aggregation or group-by: what kind its body is."""
        name = message.DESCRIPTOR.name
        kinds = {"Query": _QUERIES, "GroupBy": _GROUP_BYS, "Aggregation": dict.fromkeys(range(1, 9))}.get(name)
        if kinds is None:
            return 0
        numbers = list(kinds)
        if name == "Query" and depth > DEPTH_MAX:
            numbers = [3, 4, 11, 16]
        if name == "GroupBy" and self._is_source:
            numbers = [1, 5, 6]
        if name == "Query" and self._scope:
            numbers = [one for one in numbers if one != wire.QUERY_TYPE_NESTED] if self._scope != "nested" else numbers
        number = self.random.randrange(25) if self._is_odd() else self.random.choice(numbers)
        message.type = number  # type: ignore[attr-defined]
        return number

    def _fill_many(
        self, message: Message, field: FieldDescriptor, number: int, kind: FieldType | None, depth: int
    ) -> None:
        count = self.random.choice([1, 1, 1, 2, 2, 3, 5]) if depth < 4 else 1
        if field.name == "points":
            count = self.random.choice([3, 3, 4, 4, 1])
        if field.name == "float32_query_vector":
            count = self.random.choice([1, 3]) if self._is_odd() else 2
        values = getattr(message, field.name)
        for _ in range(count):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                self.fill(values.add(), depth + 1)
            else:
                values.append(self._scalar(message, field, number, kind, depth))

    def _scalar(self, message: Message, field: FieldDescriptor, number: int, kind: FieldType | None, depth: int) -> Any:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._bytes(message, field, number, kind, depth)
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._string(message, field)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self.random.random() < 0.5
        if field.type == FieldDescriptor.TYPE_ENUM:
            return 77 if self._is_odd() else self._enum(message, field, kind)
        if field.type == FieldDescriptor.TYPE_FLOAT or field.type == FieldDescriptor.TYPE_DOUBLE:
            if not self._is_odd(3):
                fractions = {"decay": 0.5, "tie_breaker": 0.5}
                return fractions.get(field.name, self.random.choice([1.0, 2.0, 10.0, 50.0]))
            wide = field.type == FieldDescriptor.TYPE_DOUBLE
            return self.random.choice(REALS if wide else [real for real in REALS if not 1e39 < abs(real) < 1e308])
        if field.name in _USUAL and not self._is_odd():
            return _USUAL[field.name]
        if not self._is_odd(3):
            return 1_000 if field.name == "timeout_ms" else self.random.choice([1, 2, 3, 5, 10])
        least, most = (-(2**31), 2**31) if field.type == FieldDescriptor.TYPE_INT32 else (-(2**63), 2**63)
        return self.random.choice([value for value in INTEGERS if least <= value < most])

    def _enum(self, message: Message, field: FieldDescriptor, kind: FieldType | None) -> int:
        if field.name == "param_type":
            kinds = {FieldType.DATE: 1, FieldType.GEO_POINT: 3}
            return kinds.get(kind, 2)  # type: ignore[arg-type]
        numbers = [n for n, value in field.enum_type.values_by_number.items() if not value.name.endswith("UNSPECIFIED")]
        return self.random.choice(numbers)

    def _bytes(
        self, message: Message, field: FieldDescriptor, number: int, kind: FieldType | None, depth: int
    ) -> bytes:
        if self._is_odd():
            return self.random.randbytes(self.random.randrange(12))
        known = f"{message.DESCRIPTOR.name}.{field.name}"
        inner = _WITHIN.get(known)
        if known == "Query.query":
            inner = _QUERIES.get(number)
        elif known == "GroupBy.body":
            inner = _GROUP_BYS.get(number)
        elif known == "Aggregation.body":
            inner = _AGGREGATIONS.get(number, aggregation_pb2.FieldAggregation)
        elif known == "DecayFunction.param":
            params = [scoring_pb2.DecayDateParam, scoring_pb2.DecayNumericParam, scoring_pb2.DecayGeoParam]
            inner = params[message.param_type % 4 - 1]  # type: ignore[attr-defined]
        if inner is not None:
            own = inner()
            self.fill(own, depth + 1)
            return bytes(own.SerializePartialToString())
        if field.name == "routing_values":
            return encode_key((("a", "x"), ("b", 1)))
        if field.name == "session_id":
            return self.random.choice(self._sessions or [b"none"])
        if field.name == "token":
            return self.random.choice(self._tokens) if self._tokens and self.random.random() < 0.5 else b""
        return encode_variant(self.value(kind))

    def _string(self, message: Message, field: FieldDescriptor) -> str:
        pick = self.random.choice
        if self._is_odd():
            return pick(ODD_STRINGS)
        name, owner = field.name, message.DESCRIPTOR.name
        if name == "table_name":
            return "t"
        if name == "index_name":
            return pick("ij" if owner == "UpdateSearchIndexRequest" else "j") if owner in _CHANGING else "i"
        if name in ("switch_index_name", "source_index_name"):
            return pick(["i", "j"])
        if name == "path":
            inner = [space for space in SPACES if space.startswith(f"{self._scope}.")]
            return pick(inner) if self._scope and inner else pick(SPACES)
        if name in ("points", "center_point", "top_left", "bottom_right", "origin"):
            return pick(PLACES) if self._is_odd(2) else pick(PLACES[:9])
        if name == "time_zone":
            return pick(["../etc", "+99:99"]) if self._is_odd() else pick(["+08:00", "-18:00"])
        if name == "origin_string":
            return pick(DATES)
        if name == "new_minimum_should_match":
            return pick(["2<50%", "999%", "x"]) if self._is_odd() else pick(["1", "50%", "-1"])
        if name in ("column_names", "routing_fields", "source_field_names", "missing_field", "missing_fields"):
            return pick(list(FIELDS))
        if name == "field_name":
            return pick([*FIELDS, "new", "a", "b"])
        if name == "name":
            return f"of{self.random.randrange(1_000)}"
        return pick(["k", "x", "a b", "*k?", "abc", "b c", "中"])


def _json(value: Any) -> str:
    return json.dumps(value.decode("latin-1") if isinstance(value, bytes) else value)
