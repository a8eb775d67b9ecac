import com.alicloud.openservices.tablestore.*;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.iterator.RowIterator;
import com.alicloud.openservices.tablestore.model.search.*;
import com.alicloud.openservices.tablestore.model.search.agg.*;
import com.alicloud.openservices.tablestore.model.search.filter.SearchFilter;
import com.alicloud.openservices.tablestore.model.search.groupby.*;
import com.alicloud.openservices.tablestore.model.search.highlight.*;
import com.alicloud.openservices.tablestore.model.search.query.*;
import com.alicloud.openservices.tablestore.model.search.sort.*;
import com.alicloud.openservices.tablestore.model.search.vector.*;
import java.util.*;
import java.util.stream.*;

/** Searches as the Java SDK sends them; prints what it reads in the answers, a line each. */
public class Searches {
    static final int COUNT = 30;
    static final String TABLE = "java_table", INDEX = "java_index";
    static SyncClient client;

    public static void main(String[] arguments) throws Exception {
        client = new SyncClient(arguments[0], arguments[1], arguments[2], arguments[3]);
        try {
            prepare();
            describe();
            queries();
            scores();
            sorts();
            nested();
            aggregations();
            groups();
            scans();
            changes();
        } finally {
            client.shutdown();
        }
    }

    static FieldSchema field(String name, FieldType type) {
        return new FieldSchema(name, type);
    }

    static void prepare() throws Exception {
        TableMeta meta = new TableMeta(TABLE);
        meta.addPrimaryKeyColumn("id", PrimaryKeyType.INTEGER);
        client.createTable(new CreateTableRequest(meta, new TableOptions(-1, 1), new ReservedThroughput(0, 0)));
        FieldSchema below = field("items", FieldType.NESTED).setSubFieldSchemas(Arrays.asList(
            field("name", FieldType.KEYWORD), field("price", FieldType.DOUBLE),
            field("text", FieldType.TEXT).setAnalyzer(FieldSchema.Analyzer.SingleWord).setEnableHighlighting(true)));
        FieldSchema object = field("json", FieldType.JSON).setJsonType(JsonType.OBJECT)
            .setSubFieldSchemas(Arrays.asList(field("a", FieldType.LONG)));
        IndexSchema schema = new IndexSchema();
        schema.setFieldSchemas(Arrays.asList(
            field("k", FieldType.KEYWORD).setIndex(true).setEnableSortAndAgg(true),
            field("fuzzy", FieldType.FUZZY_KEYWORD),
            field("l", FieldType.LONG), field("other", FieldType.LONG), field("third", FieldType.LONG),
            field("d", FieldType.DOUBLE), field("b", FieldType.BOOLEAN),
            field("t", FieldType.TEXT).setAnalyzer(FieldSchema.Analyzer.SingleWord).setEnableHighlighting(true),
            field("tags", FieldType.KEYWORD).setIsArray(true),
            field("at", FieldType.DATE).setDateFormats(Arrays.asList("yyyy-MM-dd HH:mm:ss")),
            field("g", FieldType.GEO_POINT), field("ip", FieldType.IP), field("flat", FieldType.FLATTENED),
            field("v", FieldType.VECTOR).setVectorOptions(
                new VectorOptions(VectorDataType.FLOAT_32, 2, VectorMetricType.EUCLIDEAN)),
            below, object));
        CreateSearchIndexRequest request = new CreateSearchIndexRequest();
        request.setTableName(TABLE);
        request.setIndexName(INDEX);
        request.setIndexSchema(schema);
        client.createSearchIndex(request);
        for (int n = 0; n < COUNT; n++) {
            RowPutChange row = new RowPutChange(TABLE,
                PrimaryKeyBuilder.createPrimaryKeyBuilder().addPrimaryKeyColumn("id", PrimaryKeyValue.fromLong(n)).build());
            row.addColumn("k", ColumnValue.fromString("k" + n % 5));
            row.addColumn("fuzzy", ColumnValue.fromString("file-" + n + ".txt"));
            if (n % 10 != 9) row.addColumn("l", ColumnValue.fromLong(n));
            if (n % 20 != 19) row.addColumn("other", ColumnValue.fromLong(100 + n));
            row.addColumn("third", ColumnValue.fromLong(-n));
            row.addColumn("d", ColumnValue.fromDouble(n / 2.0));
            row.addColumn("b", ColumnValue.fromBoolean(n % 2 == 0));
            row.addColumn("t", ColumnValue.fromString("otter " + "river ".repeat(n % 3) + n));
            row.addColumn("tags", ColumnValue.fromString("[\"all\", \"t" + n + "\"]"));
            row.addColumn("at", ColumnValue.fromString(String.format("2024-01-%02d 12:00:00", n % 28 + 1)));
            row.addColumn("g", ColumnValue.fromString("0," + n));
            row.addColumn("ip", ColumnValue.fromString("10.0.0." + n));
            row.addColumn("flat", ColumnValue.fromString("{\"a\": {\"b\": \"x" + n % 3 + "\"}}"));
            row.addColumn("v", ColumnValue.fromString("[" + n + ", 0]"));
            row.addColumn("items", ColumnValue.fromString("[{\"name\": \"one\", \"price\": " + n
                + ", \"text\": \"an otter\"}, {\"name\": \"two\", \"price\": " + -n + ", \"text\": \"a river\"}]"));
            row.addColumn("json", ColumnValue.fromString("{\"a\": " + n + "}"));
            client.putRow(new PutRowRequest(row));
        }
        for (int tried = 0; search(QueryBuilders.matchAll()).getTotalCount() < COUNT; tried++) {
            if (tried == 600) throw new IllegalStateException("rows do not come into the index");
            Thread.sleep(100);
        }
    }

    static void describe() {
        DescribeSearchIndexRequest request = new DescribeSearchIndexRequest();
        request.setTableName(TABLE);
        request.setIndexName(INDEX);
        DescribeSearchIndexResponse response = client.describeSearchIndex(request);
        say("described", response.getSchema().getFieldSchemas().stream()
            .map(one -> one.getFieldName() + ":" + one.getFieldType()).collect(Collectors.joining(" ")));
        say("time to live", response.getTimeToLive());
    }

    static SearchQuery.Builder page() {
        return SearchQuery.newBuilder().limit(100).trackTotalCount(SearchQuery.TRACK_TOTAL_COUNT);
    }

    static SearchResponse search(SearchQuery.Builder query) {
        return client.search(SearchRequest.newBuilder().tableName(TABLE).indexName(INDEX)
            .searchQuery(query.build()).returnAllColumns(true).timeout(5000).build());
    }

    static SearchResponse search(QueryBuilder query) {
        return search(page().query(query));
    }

    static Sort byScore() {
        return new Sort(Arrays.asList(new ScoreSort()));
    }

    static void say(String name, Object what) {
        System.out.println("> " + name + ": " + what);
    }

    static String ids(SearchResponse response) {
        return response.getRows().stream().map(row -> row.getPrimaryKey().getPrimaryKeyColumn("id").getValue().toString())
            .collect(Collectors.joining(" "));
    }

    static void found(String name, QueryBuilder query) {
        SearchResponse response = search(query);
        say(name, response.getTotalCount() + " of " + ids(response));
    }

    static void scored(String name, QueryBuilder query) {
        scored(name, query.build());
    }

    static void scored(String name, Query query) {
        SearchResponse response = search(page().query(query).sort(byScore()).limit(4));
        say(name, response.getSearchHits().stream()
            .map(hit -> hit.getRow().getPrimaryKey().getPrimaryKeyColumn("id").getValue() + "=" + String.format("%.3f", hit.getScore()))
            .collect(Collectors.joining(" ")));
    }

    static void queries() {
        found("term", QueryBuilders.term("k", "k3"));
        found("terms", QueryBuilders.terms("l").terms(1L, 2L, 99L));
        found("range", QueryBuilders.range("l").greaterThanOrEqual(3L).lessThan(6L));
        found("open range", QueryBuilders.range("d").lessThan(1.0));
        found("dates", QueryBuilders.range("at").greaterThan("2024-01-25 12:00:00"));
        found("prefix", QueryBuilders.prefix("fuzzy", "file-2"));
        found("suffix", QueryBuilders.suffix("fuzzy", "7.txt"));
        found("wildcard", QueryBuilders.wildcard("fuzzy", "*e-1?.*"));
        found("match", QueryBuilders.match("t", "river 4").operator(QueryOperator.AND));
        found("at least", QueryBuilders.match("t", "river otter 7").minimumShouldMatch(3));
        found("phrase", QueryBuilders.matchPhrase("t", "otter river river"));
        found("exists", QueryBuilders.bool().mustNot(QueryBuilders.exists("l")));
        found("bool", QueryBuilders.bool().must(QueryBuilders.term("b", true)).filter(QueryBuilders.range("l").lessThan(9L))
            .should(QueryBuilders.term("l", 2L)).should(QueryBuilders.term("l", 4L)).should(QueryBuilders.term("k", "k2"))
            .minimumShouldMatch(1));
        found("box", QueryBuilders.geoBoundingBox("g").topLeft("1,3").bottomRight("-1,5"));
        found("distance", QueryBuilders.geoDistance("g").centerPoint("0,10").distanceInMeter(120_000));
        found("polygon", QueryBuilders.geoPolygon("g").addPoint("1,20.5").addPoint("1,23.5").addPoint("-1,23.5").addPoint("-1,20.5"));
        found("network", QueryBuilders.term("ip", "10.0.0.0/30"));
        found("flattened", QueryBuilders.term("flat.a.b", "x2"));
        found("object", QueryBuilders.term("json.a", 12L));
        SearchResponse response = search(page().query(QueryBuilders.matchAll())
            .filter(SearchFilter.newBuilder().query(QueryBuilders.range("l").lessThan(3L)).build()));
        say("search filter", response.getTotalCount() + " of " + ids(response));
        response = search(page().query(QueryBuilders.matchAll()).trackTotalCount(12).limit(2));
        say("total up to", response.getTotalCount());
        response = search(page().query(QueryBuilders.matchAll()).trackTotalCount(SearchQuery.TRACK_TOTAL_COUNT_DISABLED).limit(2));
        say("no total", response.getTotalCount() + " " + response.isAllSuccess());
        response = search(page().query(QueryBuilders.matchAll()).collapse("k"));
        say("collapse", ids(response));
        HighlightParameter shown = HighlightParameter.newBuilder().preTag("<b>").postTag("</b>").build();
        response = search(page().query(QueryBuilders.match("t", "river")).limit(1)
            .highlight(Highlight.newBuilder().addFieldHighlightParam("t", shown).build()));
        say("highlight", response.getSearchHits().get(0).getHighlightResultItem().getHighlightFields().get("t").getFragments());
    }

    static void scores() {
        scored("neighbours", QueryBuilders.knnVector("v", 3, new float[] {4, 0}).numCandidates(50).filter(QueryBuilders.term("b", true).build()));
        scored("near enough", QueryBuilders.knnVector("v", 30, new float[] {4, 0}).minScore(0.4f));
        scored("constant", QueryBuilders.bool().must(QueryBuilders.constScore().filter(QueryBuilders.range("l").greaterThan(26L))));
        scored("dis max", QueryBuilders.disMax().addQuery(QueryBuilders.term("l", 3L).weight(2)).addQuery(QueryBuilders.term("b", false).weight(4)).tieBreaker(0.5f).build());
        scored("field value", QueryBuilders.functionScore("d").query(QueryBuilders.matchAll()));
        ScoreFunction value = ScoreFunction.newBuilder().weight(2).filter(QueryBuilders.term("b", true).build())
            .fieldValueFactorFunction(new FieldValueFactorFunction("l", 3f, FieldValueFactorFunction.FunctionModifier.LN1P, 1.0)).build();
        scored("functions", functions(value, FunctionsScoreQuery.ScoreMode.SUM, FunctionsScoreQuery.CombineMode.REPLACE));
        DecayFunction near = new DecayFunction("g", new DecayFuncGeoParam("0,7", 111_195.0, 0.0), DecayFunction.MathFunction.LINEAR, 0.5, MultiValueMode.MIN);
        scored("decay by place", functions(ScoreFunction.newBuilder().decayFunction(near).build(), FunctionsScoreQuery.ScoreMode.MAX, FunctionsScoreQuery.CombineMode.REPLACE));
        DecayFunction recent = new DecayFunction("at", new DecayFuncDateParam(null, "2024-01-20 12:00:00", new DateTimeValue(2, DateTimeUnit.DAY), new DateTimeValue(0, DateTimeUnit.DAY)), DecayFunction.MathFunction.EXP, 0.5, MultiValueMode.MIN);
        scored("decay by time", functions(ScoreFunction.newBuilder().decayFunction(recent).build(), FunctionsScoreQuery.ScoreMode.MAX, FunctionsScoreQuery.CombineMode.REPLACE));
        DecayFunction close = new DecayFunction("d", new DecayFuncNumericParam(5.0, 1.0, 0.5), DecayFunction.MathFunction.GAUSS, 0.5, MultiValueMode.MIN);
        scored("decay by number", functions(ScoreFunction.newBuilder().decayFunction(close).build(), FunctionsScoreQuery.ScoreMode.MAX, FunctionsScoreQuery.CombineMode.REPLACE));
        SearchResponse response = search(page().sort(byScore()).query(functions(
            ScoreFunction.newBuilder().randomFunction(new RandomFunction()).build(), FunctionsScoreQuery.ScoreMode.FIRST, FunctionsScoreQuery.CombineMode.REPLACE)));
        say("random", response.getSearchHits().stream().allMatch(hit -> hit.getScore() >= 0 && hit.getScore() < 1) + " " + response.getTotalCount());
    }

    static QueryBuilder functions(ScoreFunction function, FunctionsScoreQuery.ScoreMode mode, FunctionsScoreQuery.CombineMode combine) {
        return QueryBuilders.functionsScore().query(QueryBuilders.matchAll()).functions(Arrays.asList(function))
            .scoreMode(mode).combineMode(combine).minScore(0f).maxScore(1000f);
    }

    static void sorts() {
        FieldSort sort = new FieldSort("l", SortOrder.DESC);
        sort.setMissingFields(Arrays.asList("other", "third"));
        say("missing fields", ids(search(page().query(QueryBuilders.matchAll()).sort(new Sort(Arrays.asList(sort))).limit(5))));
        sort = new FieldSort("l", SortOrder.ASC);
        sort.setMissingValue(ColumnValue.fromLong(5));
        say("missing value", ids(search(page().query(QueryBuilders.range("third").greaterThan(-12L)).sort(new Sort(Arrays.asList(sort))))));
        sort.setMissingValue(FieldSort.FIRST_WHEN_MISSING);
        say("missing first", ids(search(page().query(QueryBuilders.matchAll()).sort(new Sort(Arrays.asList(sort))).limit(4))));
        GeoDistanceSort near = new GeoDistanceSort("g", Arrays.asList("0,20.2"));
        near.setDistanceType(GeoDistanceType.PLANE);
        Sort sorted = new Sort(Arrays.asList(near, new PrimaryKeySort(SortOrder.DESC)));
        sorted.setDisableDefaultPkSorter(true);
        say("distance sort", ids(search(page().query(QueryBuilders.matchAll()).sort(sorted).limit(3))));
        FieldSort price = new FieldSort("items.price", SortOrder.DESC);
        price.setMode(SortMode.MAX);
        price.setNestedFilter(new NestedFilter("items", QueryBuilders.term("items.name", "two").build()));
        say("nested sort", ids(search(page().query(QueryBuilders.matchAll()).sort(new Sort(Arrays.asList(price))).limit(3))));
        byte[] token = null;
        List<String> pages = new ArrayList<>();
        do {
            SearchQuery.Builder query = page().query(QueryBuilders.term("b", true)).limit(7);
            if (token != null) query.token(token);
            SearchResponse response = search(query);
            pages.add(ids(response));
            token = response.getNextToken();
        } while (token != null);
        say("pages", pages);
    }

    static void nested() {
        InnerHits inner = InnerHits.newBuilder().offset(0).limit(2).sort(new Sort(Arrays.asList(new DocSort(SortOrder.DESC))))
            .highlight(Highlight.newBuilder().addFieldHighlightParam("items.text", HighlightParameter.newBuilder().build()).build()).build();
        SearchResponse response = search(page().limit(1).query(QueryBuilders.nested().path("items").scoreMode(ScoreMode.Max).weight(2)
            .query(QueryBuilders.match("items.text", "otter river")).innerHits(inner)));
        SearchInnerHit hits = response.getSearchHits().get(0).getSearchInnerHitByPath("items");
        say("inner hits", hits.getSubSearchHits().stream().map(hit -> hit.getOffset() + ":"
            + hit.getHighlightResultItem().getHighlightFields().get("items.text").getFragments()).collect(Collectors.joining(" ")));
    }

    static void aggregations() {
        SearchResponse response = search(page().query(QueryBuilders.matchAll()).limit(0)
            .addAggregation(AggregationBuilders.max("max", "l")).addAggregation(AggregationBuilders.min("min", "d"))
            .addAggregation(AggregationBuilders.sum("sum", "l").missing(1000L)).addAggregation(AggregationBuilders.avg("avg", "d"))
            .addAggregation(AggregationBuilders.count("count", "l")).addAggregation(AggregationBuilders.distinctCount("distinct", "k"))
            .addAggregation(AggregationBuilders.percentiles("percentiles", "third").percentiles(90.0, 50.0).missing(0L))
            .addAggregation(AggregationBuilders.topRows("rows").limit(2).sort(new Sort(Arrays.asList(new FieldSort("d", SortOrder.DESC))))));
        AggregationResults results = response.getAggregationResults();
        say("values", results.getAsMaxAggregationResult("max").getValue() + " " + results.getAsMinAggregationResult("min").getValue() + " "
            + results.getAsSumAggregationResult("sum").getValue() + " " + results.getAsAvgAggregationResult("avg").getValue() + " "
            + results.getAsCountAggregationResult("count").getValue() + " " + results.getAsDistinctCountAggregationResult("distinct").getValue());
        say("percentiles", results.getAsPercentilesAggregationResult("percentiles").getPercentilesAggregationItems().stream()
            .map(item -> item.getKey() + "=" + item.getValue()).collect(Collectors.joining(" ")));
        say("top rows", results.getAsTopRowsAggregationResult("rows").getRows().stream()
            .map(row -> row.getPrimaryKey().getPrimaryKeyColumn("id").getValue().toString()).collect(Collectors.joining(" ")));
    }

    static void groups() {
        SearchResponse response = search(page().query(QueryBuilders.range("third").greaterThan(-12L)).limit(0)
            .addGroupBy(GroupByBuilders.groupByField("field", "k").size(3).minDocCount(2L)
                .addGroupBySorter(GroupBySorter.rowCountSortInDesc(), GroupBySorter.groupKeySortInDesc())
                .addSubAggregation(AggregationBuilders.sum("sum", "d"))
                .addSubGroupBy(GroupByBuilders.groupByFilter("filter").addFilter(QueryBuilders.term("b", true))))
            .addGroupBy(GroupByBuilders.groupByRange("range", "l").addRange(Double.MIN_VALUE, 3).addRange(3, Double.MAX_VALUE))
            .addGroupBy(GroupByBuilders.groupByGeoDistance("distance", "g").origin(0, 0).addRange(Double.MIN_VALUE, 300_000).addRange(300_000, Double.MAX_VALUE))
            .addGroupBy(GroupByBuilders.groupByHistogram("histogram", "l").interval(4L).offset(1L).missing(2L).minDocCount(1L).addFieldRange(0L, 11L))
            .addGroupBy(GroupByBuilders.groupByDateHistogram("dates", "at").interval(1, DateTimeUnit.WEEK).timeZone("+08:00").offset(0, DateTimeUnit.DAY).minDocCount(1))
            .addGroupBy(GroupByBuilders.groupByGeoGrid("grid", "g").precision(GeoHashPrecision.GHP_1252KM_624KM_2).size(2))
            .addGroupBy(GroupByBuilders.groupByComposite("composite").suggestedSize(3)
                .addSources(GroupByBuilders.groupByField("s1", "k")).addSources(GroupByBuilders.groupByHistogram("s2", "l").interval(5L))));
        GroupByResults results = response.getGroupByResults();
        say("by field", results.getAsGroupByFieldResult("field").getGroupByFieldResultItems().stream().map(item -> item.getKey() + "=" + item.getRowCount()
            + "/" + item.getSubAggregationResults().getAsSumAggregationResult("sum").getValue()
            + "/" + item.getSubGroupByResults().getAsGroupByFilterResult("filter").getGroupByFilterResultItems().get(0).getRowCount()).collect(Collectors.joining(" ")));
        say("by range", results.getAsGroupByRangeResult("range").getGroupByRangeResultItems().stream()
            .map(item -> item.getFrom() + ".." + item.getTo() + "=" + item.getRowCount()).collect(Collectors.joining(" ")));
        say("by distance", results.getAsGroupByGeoDistanceResult("distance").getGroupByGeoDistanceResultItems().stream()
            .map(item -> item.getFrom() + ".." + item.getTo() + "=" + item.getRowCount()).collect(Collectors.joining(" ")));
        say("by histogram", results.getAsGroupByHistogramResult("histogram").getGroupByHistogramItems().stream()
            .map(item -> item.getKey() + "=" + item.getValue()).collect(Collectors.joining(" ")));
        say("by week", results.getAsGroupByDateHistogramResult("dates").getGroupByDateHistogramItems().stream()
            .map(item -> item.getTimestamp() + "=" + item.getRowCount()).collect(Collectors.joining(" ")));
        say("by cell", results.getAsGroupByGeoGridResult("grid").getGroupByGeoGridResultItems().stream()
            .map(item -> item.getKey() + "=" + item.getRowCount()).collect(Collectors.joining(" ")));
        GroupByCompositeResult composite = results.getAsGroupByCompositeResult("composite");
        say("by both", composite.getSourceNames() + " " + composite.getGroupByCompositeResultItems().stream()
            .map(item -> item.getKeys() + "=" + item.getRowCount()).collect(Collectors.joining(" ")) + " " + (composite.getNextToken() != null));
    }

    static void scans() {
        SearchIndexSplitsOptions options = new SearchIndexSplitsOptions();
        options.setIndexName(INDEX);
        ComputeSplitsResponse splits = client.computeSplits(new ComputeSplitsRequest(TABLE, options));
        ScanQuery query = ScanQuery.newBuilder().query(QueryBuilders.term("b", true)).limit(4).maxParallel(splits.getSplitsSize())
            .currentParallelId(0).aliveTimeInSeconds(60).build();
        RowIterator rows = client.createParallelScanIterator(ParallelScanRequest.newBuilder().tableName(TABLE).indexName(INDEX)
            .scanQuery(query).sessionId(splits.getSessionId()).addColumnsToGet("l").build());
        Set<Long> seen = new TreeSet<>();
        rows.forEachRemaining(row -> seen.add(row.getPrimaryKey().getPrimaryKeyColumn("id").getValue().asLong()));
        say("scan", splits.getSplitsSize() + " " + seen);
    }

    static void changes() {
        UpdateSearchIndexRequest request = new UpdateSearchIndexRequest(TABLE, INDEX);
        request.setAddedFieldSchemas(Arrays.asList(field("added", FieldType.LONG)));
        client.updateSearchIndex(request);
        try {
            search(QueryBuilders.term("never", 1L));
        } catch (TableStoreException error) {
            say("error", error.getErrorCode() + " " + error.getHttpStatus() + " " + error.getMessage());
        }
    }
}
