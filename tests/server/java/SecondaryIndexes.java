import com.alicloud.openservices.tablestore.*;
import com.alicloud.openservices.tablestore.ecosystem.TableCatalog;
import com.alicloud.openservices.tablestore.model.*;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.*;

/** Secondary indexes as the Java SDK sends and reads them; prints what it reads, a line each. */
public class SecondaryIndexes {
    static final String TABLE = "java_indexed";
    static SyncClient client;

    interface Call {
        Object make();
    }

    public static void main(String[] arguments) throws Exception {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setRetryStrategy(new DefaultRetryStrategy(100, TimeUnit.MILLISECONDS));
        client = new SyncClient(arguments[0], arguments[1], arguments[2], arguments[3], configuration);
        try {
            quotas();
            indexes();
            reads();
            drops();
        } finally {
            client.shutdown();
        }
    }

    static IndexMeta index(String name, boolean local, List<String> key, String... columns) {
        IndexMeta meta = new IndexMeta(name);
        key.forEach(meta::addPrimaryKeyColumn);
        Arrays.asList(columns).forEach(meta::addDefinedColumn);
        if (local) {
            meta.setIndexType(IndexType.IT_LOCAL_INDEX);
            meta.setIndexUpdateMode(IndexUpdateMode.IUM_SYNC_INDEX);
        }
        return meta;
    }

    static CreateTableRequest table(String name, int defined, IndexMeta... indexes) {
        TableMeta meta = new TableMeta(name);
        meta.addPrimaryKeyColumn("uid", PrimaryKeyType.STRING);
        meta.addPrimaryKeyColumn("gid", PrimaryKeyType.INTEGER);
        for (int i = 0; i < defined; i++) {
            meta.addDefinedColumn("d" + i, DefinedColumnType.STRING);
        }
        CreateTableRequest request = new CreateTableRequest(meta, new TableOptions(-1, 1));
        Arrays.asList(indexes).forEach(request::addIndex);
        return request;
    }

    static List<String> columns(int count) {
        return IntStream.range(0, count).mapToObj(i -> "d" + i).collect(Collectors.toList());
    }

    static void quotas() {
        IndexMeta[] six = IntStream.range(0, 6).mapToObj(i -> index("i" + i, false, Arrays.asList("d" + i), "d9"))
            .toArray(IndexMeta[]::new);
        say("six with a table", outcome(() -> client.createTable(table("refused", 10, six))));
        say("five key columns", outcome(() -> client.createTable(table("refused", 10, index("i", false, columns(5))))));
        say("no key column", outcome(() -> client.createTable(table("refused", 10, index("i", false, columns(0), "d9")))));
        say("33 columns", outcome(() -> client.createTable(
            table("refused", 32, index("i", false, Arrays.asList("gid"), columns(33).toArray(new String[0]))))));
        say("33 defined", outcome(() -> client.createTable(table("refused", 33))));
        say("no table, five", outcome(() -> client.createIndex(new CreateIndexRequest("none", index("i", false, columns(5)), false))));
        say("no table", outcome(() -> client.createIndex(new CreateIndexRequest("none", index("i", false, columns(4)), false))));
        say("32 columns", outcome(() -> client.createTable(
            table("wide", 32, index("wide_index", false, Arrays.asList("gid"), columns(32).toArray(new String[0]))))));
        say("five", outcome(() -> client.createTable(table("five", 10, Arrays.copyOf(six, 5)))));
        say("a sixth", outcome(() -> client.createIndex(new CreateIndexRequest("five", six[5], false))));
        say("deleted", outcome(() -> client.deleteTable(new DeleteTableRequest("five"))));
    }

    static void indexes() throws Exception {
        client.createTable(table(TABLE, 3, index("with_table", false, Arrays.asList("d0"), "d1")));
        for (int i = 0; i < 6; i++) {
            RowPutChange change = new RowPutChange(TABLE, key("uid", "u" + i % 2, "gid", (long) i));
            change.addColumn("d0", ColumnValue.fromString("v" + (9 - i)));
            change.addColumn("d1", ColumnValue.fromString("w" + i));
            client.putRow(new PutRowRequest(change));
        }
        client.createIndex(new CreateIndexRequest(TABLE, index("local", true, Arrays.asList("uid", "d1"), "d0"), true));
        client.createIndex(new CreateIndexRequest(TABLE, index("global", false, Arrays.asList("gid")), true));
        say("local first", outcome(() -> client.createIndex(
            new CreateIndexRequest(TABLE, index("x", true, Arrays.asList("d1")), true))));
        say("again", outcome(() -> client.createIndex(
            new CreateIndexRequest(TABLE, index("local", true, Arrays.asList("uid", "d1")), true))));
        while (!described().stream().allMatch(index -> index.getIndexSyncPhase().name().equals("INCR"))) {
            Thread.sleep(50);
        }
        say("described", described().stream().map(index -> index.getIndexName() + index.getPrimaryKeyList()
            + index.getDefinedColumnsList() + index.getIndexType() + index.getIndexUpdateMode()).collect(Collectors.joining(" ")));
        say("listed", client.listTable().getTableNames());
        TableCatalog catalog = new TableCatalog(TABLE);
        catalog.buildCatalog(client);
        say("catalog", catalog.getIndexMetaList().stream().map(meta -> meta.getTableName() + meta.getPrimaryKeyMap().keySet())
            .sorted().collect(Collectors.joining(" ")));
    }

    static void reads() throws Exception {
        say("local", range("local", Direction.FORWARD, "uid", "d1", "gid"));
        say("backward", range("local", Direction.BACKWARD, "uid", "d1", "gid"));
        say("global", range("global", Direction.FORWARD, "gid", "uid"));
        while (range("with_table", Direction.FORWARD, "d0", "uid", "gid").split(" ").length < 6) {
            Thread.sleep(50);
        }
        say("with table", range("with_table", Direction.FORWARD, "d0", "uid", "gid"));
        SingleRowQueryCriteria one = new SingleRowQueryCriteria("local", key("uid", "u1", "d1", "w3", "gid", 3L));
        one.setMaxVersions(1);
        say("one row", shown(client.getRow(new GetRowRequest(one)).getRow()));
        say("written", outcome(() -> client.putRow(new PutRowRequest(
            new RowPutChange("local", key("uid", "u1", "d1", "w3", "gid", 3L)).addColumn("d0", ColumnValue.fromString("x"))))));
    }

    static void drops() {
        client.deleteIndex(new DeleteIndexRequest(TABLE, "local"));
        say("dropped", outcome(() -> range("local", Direction.FORWARD, "uid", "d1", "gid")));
        say("dropped twice", outcome(() -> client.deleteIndex(new DeleteIndexRequest(TABLE, "local"))));
        say("left", described().stream().map(IndexMeta::getIndexName).collect(Collectors.toList()));
    }

    static List<IndexMeta> described() {
        return client.describeTable(new DescribeTableRequest(TABLE)).getIndexMeta();
    }

    static PrimaryKey key(Object... parts) {
        PrimaryKeyBuilder builder = PrimaryKeyBuilder.createPrimaryKeyBuilder();
        for (int i = 0; i < parts.length; i += 2) {
            Object value = parts[i + 1];
            builder.addPrimaryKeyColumn((String) parts[i], value instanceof PrimaryKeyValue ? (PrimaryKeyValue) value
                : value instanceof Long ? PrimaryKeyValue.fromLong((Long) value) : PrimaryKeyValue.fromString((String) value));
        }
        return builder.build();
    }

    static String range(String index, Direction direction, String... names) {
        PrimaryKeyValue low = PrimaryKeyValue.INF_MIN, high = PrimaryKeyValue.INF_MAX;
        boolean forward = direction == Direction.FORWARD;
        RangeIteratorParameter parameter = new RangeIteratorParameter(index);
        parameter.setInclusiveStartPrimaryKey(key(Arrays.stream(names).flatMap(name -> java.util.stream.Stream.of(name, forward ? low : high)).toArray()));
        parameter.setExclusiveEndPrimaryKey(key(Arrays.stream(names).flatMap(name -> java.util.stream.Stream.of(name, forward ? high : low)).toArray()));
        parameter.setDirection(direction);
        parameter.setMaxVersions(1);
        parameter.setBufferSize(2);
        List<String> rows = new ArrayList<>();
        client.createRangeIterator(parameter).forEachRemaining(row -> rows.add(shown(row)));
        return String.join(" ", rows);
    }

    static String shown(Row row) {
        return Arrays.stream(row.getPrimaryKey().getPrimaryKeyColumns()).map(column -> column.getValue().toString())
            .collect(Collectors.joining(",")) + Arrays.stream(row.getColumns())
            .map(column -> ";" + column.getName() + "=" + column.getValue()).collect(Collectors.joining());
    }

    static String outcome(Call call) {
        try {
            call.make();
            return "done";
        } catch (TableStoreException error) {
            return error.getErrorCode() + " " + error.getHttpStatus() + " " + error.getMessage();
        }
    }

    static void say(String name, Object what) {
        System.out.println("> " + name + ": " + what);
    }
}
