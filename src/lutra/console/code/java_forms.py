"""What the nouns of the model are called in Java, and by which calls their parts are said."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from lutra.console.code.writer import Form
from lutra.model import aggregations as found
from lutra.model import geo, indexes, nested, queries, scoring
from lutra.model.schema import IndexKind

_FIELD: Final = {"weight": "weight"}
_SUB: Final = {"aggregations": "addSubAggregation", "group_bys": "addSubGroupBy"}
_GROUP: Final = {**_SUB, "sort": "addGroupBySorter"}
_VALUE: Final = {"missing": "missing"}
HEADS: Final[dict[type, tuple[str, ...]]] = {
    queries.Term: ("field", "value"),
    queries.Terms: ("field",),
    queries.Prefix: ("field", "prefix"),
    queries.Suffix: ("field", "suffix"),
    queries.Wildcard: ("field", "pattern"),
    queries.Match: ("field", "text"),
    queries.MatchPhrase: ("field", "text"),
    queries.Exists: ("field",),
    queries.KnnVector: ("field", "top_k", "vector"),
    geo.GeoBoundingBox: ("field",),
    geo.GeoDistance: ("field",),
    geo.GeoPolygon: ("field",),
    found.Avg: ("name", "field"),
    found.Max: ("name", "field"),
    found.Min: ("name", "field"),
    found.Sum: ("name", "field"),
    found.Count: ("name", "field"),
    found.DistinctCount: ("name", "field"),
    found.Percentiles: ("name", "field"),
    found.TopRows: ("name",),
    found.GroupByField: ("name", "field"),
    found.GroupByRange: ("name", "field"),
    found.GroupByFilter: ("name",),
    found.GroupByGeoDistance: ("name", "field"),
    found.GroupByGeoGrid: ("name", "field"),
    found.GroupByHistogram: ("name", "field"),
    found.GroupByDateHistogram: ("name", "field"),
    found.GroupByComposite: ("name",),
}
"""What builders are begun with."""
CONSTANTS: Final[dict[type[enum.Enum], str]] = {
    queries.Operator: "QueryOperator.{}",
    queries.SortMode: "SortMode.{}",
    queries.FragmentOrder: "HighlightFragmentOrder.{}",
    queries.HighlightEncoder: "HighlightEncoder.{}",
    queries.Missing: "FieldSort.{}_WHEN_MISSING",
    geo.DistanceType: "GeoDistanceType.{}",
    found.DateTimeUnit: "DateTimeUnit.{}",
    indexes.FieldType: "FieldType.{}",
    indexes.JsonType: "JsonType.{}",
    indexes.Metric: "VectorMetricType.{}",
    IndexKind: "IndexType.IT_{}_INDEX",
}
FORMS: Final[Mapping[type, Form]] = {
    queries.MatchAll: Form("QueryBuilders.matchAll", {}),
    queries.Term: Form("QueryBuilders.term", _FIELD),
    queries.Terms: Form("QueryBuilders.terms", {**_FIELD, "values": "terms"}),
    queries.Prefix: Form("QueryBuilders.prefix", _FIELD),
    queries.Suffix: Form("QueryBuilders.suffix", _FIELD),
    queries.Wildcard: Form("QueryBuilders.wildcard", _FIELD),
    queries.Match: Form(
        "QueryBuilders.match", {**_FIELD, "operator": "operator", "minimum_should_match": "minShouldMatch"}
    ),
    queries.MatchPhrase: Form("QueryBuilders.matchPhrase", {**_FIELD, "slop": "slop"}),
    queries.Exists: Form("QueryBuilders.exists", {}),
    queries.Bool: Form(
        "QueryBuilders.bool",
        {
            **_FIELD,
            "must": "must",
            "must_not": "mustNot",
            "filter": "filter",
            "should": "should",
            "minimum_should_match": "minShouldMatch",
        },
    ),
    queries.KnnVector: Form(
        "QueryBuilders.knnVector",
        {**_FIELD, "filter": "filter", "min_score": "minScore", "num_candidates": "numCandidates"},
    ),
    scoring.ConstScore: Form("QueryBuilders.constScore", {"filter": "filter"}),
    scoring.DisMax: Form("QueryBuilders.disMax", {**_FIELD, "queries": "addQuery", "tie_breaker": "tieBreaker"}),
    geo.GeoBoundingBox: Form("QueryBuilders.geoBoundingBox", {"top_left": "topLeft", "bottom_right": "bottomRight"}),
    geo.GeoDistance: Form("QueryBuilders.geoDistance", {"centre": "centerPoint", "distance_m": "distanceInMeter"}),
    geo.GeoPolygon: Form("QueryBuilders.geoPolygon", {"points": "addPoint"}),
    nested.Nested: Form(
        "QueryBuilders.nested",
        {**_FIELD, "path": "path", "query": "query", "mode": "!scoreMode", "inner_hits": "innerHits"},
    ),
    nested.InnerHits: Form(
        "InnerHits.newBuilder",
        {"sort": "sort", "offset": "!offset", "limit": "!limit", "highlight": "highlight"},
    ),
    queries.HighlightField: Form(
        "HighlightParameter.newBuilder",
        {
            "fragments": "numberOfFragments",
            "fragment_chars": "fragmentSize",
            "pre_tag": "preTag",
            "post_tag": "postTag",
            "order": "highlightFragmentOrder",
        },
    ),
    found.Avg: Form("AggregationBuilders.avg", _VALUE),
    found.Max: Form("AggregationBuilders.max", _VALUE),
    found.Min: Form("AggregationBuilders.min", _VALUE),
    found.Sum: Form("AggregationBuilders.sum", _VALUE),
    found.Count: Form("AggregationBuilders.count", {}),
    found.DistinctCount: Form("AggregationBuilders.distinctCount", _VALUE),
    found.Percentiles: Form("AggregationBuilders.percentiles", {**_VALUE, "percentiles": "percentiles"}),
    found.TopRows: Form("AggregationBuilders.topRows", {"limit": "limit", "sort": "sort"}),
    found.GroupByField: Form(
        "GroupByBuilders.groupByField", {**_GROUP, "size": "size", "min_doc_count": "minDocCount"}
    ),
    found.GroupByRange: Form("GroupByBuilders.groupByRange", {**_SUB, "ranges": "addRange"}),
    found.GroupByFilter: Form("GroupByBuilders.groupByFilter", {**_SUB, "filters": "addFilter"}),
    found.GroupByGeoDistance: Form(
        "GroupByBuilders.groupByGeoDistance", {**_SUB, "origin": "origin", "ranges": "addRange"}
    ),
    found.GroupByGeoGrid: Form("GroupByBuilders.groupByGeoGrid", {**_SUB, "precision": "precision", "size": "size"}),
    found.GroupByHistogram: Form(
        "GroupByBuilders.groupByHistogram",
        {
            **_GROUP,
            "interval": "interval",
            "offset": "offset",
            "missing": "missing",
            "field_range": "addFieldRange",
            "min_doc_count": "minDocCount",
        },
    ),
    found.GroupByDateHistogram: Form(
        "GroupByBuilders.groupByDateHistogram",
        {
            **_GROUP,
            "interval": "interval",
            "time_zone": "timeZone",
            "offset": "offset",
            "missing": "missing",
            "field_range": "fieldRange",
            "min_doc_count": "minDocCount",
        },
    ),
    found.GroupByComposite: Form(
        "GroupByBuilders.groupByComposite",
        {**_SUB, "sources": "addSources", "size": "size", "suggested_size": "suggestedSize"},
    ),
}
