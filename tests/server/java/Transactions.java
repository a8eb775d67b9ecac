import com.alicloud.openservices.tablestore.*;
import com.alicloud.openservices.tablestore.model.*;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.*;

/** Local transactions, atomic batches and table options as the Java SDK sends them; prints what it reads, a line each. */
public class Transactions {
    static final String TABLE = "java_transactions";
    static SyncClient client;

    interface Call {
        Object make();
    }

    public static void main(String[] arguments) {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setRetryStrategy(new DefaultRetryStrategy(100, TimeUnit.MILLISECONDS));
        client = new SyncClient(arguments[0], arguments[1], arguments[2], arguments[3], configuration);
        try {
            createTable(TABLE, null);
            startsAndEnds();
            rowsOfOneKey();
            refusals();
            atomicBatches();
            tables();
        } finally {
            client.shutdown();
        }
    }

    static void startsAndEnds() {
        String first = start("a");
        print("started", first.length() > 0);
        print("twice", outcome(() -> start("a")));
        print("committed", outcome(() -> commit(first)));
        print("committed twice", outcome(() -> commit(first)));
        String second = start("a");
        print("aborted", outcome(() -> abort(second)));
        print("aborted twice", outcome(() -> abort(second)));
        print("no id to commit", outcome(() -> commit("")));
        print("no id to abort", outcome(() -> abort("")));
    }

    static void rowsOfOneKey() {
        put(null, "a", 1, 10);
        String id = start("a");
        put(id, "a", 1, 11);
        put(id, "a", 2, 20);
        update(id, "a", 3, 30);
        batch(id, false, change("a", 4, 40), change("a", 5, 50));
        delete(id, "a", 5);
        print("seen inside", get(id, "a", 1) + " " + range(id, "a"));
        print("seen outside", get(null, "a", 1) + " " + range(null, "a"));
        print("another writer", outcome(() -> put(null, "a", 9, 90)));
        print("another key", outcome(() -> put(null, "b", 9, 90)));
        commit(id);
        print("committed rows", range(null, "a"));
        String other = start("a");
        delete(other, "a", 1);
        put(other, "a", 9, 90);
        print("seen before the abort", range(other, "a"));
        abort(other);
        print("rows after the abort", range(null, "a"));
    }

    static void refusals() {
        String id = start("a");
        print("beyond the key", outcome(() -> put(id, "b", 1, 1)));
        print("a batch beyond", batch(id, false, change("a", 7, 70), change("b", 7, 70)));
        print("two columns", outcome(() -> client.startLocalTransaction(
            new StartLocalTransactionRequest(TABLE, key("a", 1))).getTransactionID()));
        print("no table", outcome(() -> client.startLocalTransaction(
            new StartLocalTransactionRequest("", partition("a"))).getTransactionID()));
        abort(id);
        StartLocalTransactionRequest request = new StartLocalTransactionRequest(TABLE, partition("a"));
        request.addRowKey(key("a", 1));
        String rows = client.startLocalTransaction(request).getTransactionID();
        print("of rows", outcome(() -> put(rows, "a", 1, 12)));
        abort(rows);
    }

    static void atomicBatches() {
        print("atomic", batch(null, true, change("c", 1, 1), change("c", 2, 2)));
        print("atomic beyond", batch(null, true, change("0", 1, 1), change("1", 1, 1), change("2", 1, 1)));
        RowPutChange checked = change("c", 3, 3);
        checked.setCondition(new Condition(RowExistenceExpectation.EXPECT_EXIST));
        print("atomic with a condition", batch(null, true, change("c", 1, 100), checked));
        print("not atomic", batch(null, false, change("c", 1, 100), checked));
        print("written", range(null, "c"));
        String id = start("c");
        print("atomic inside", batch(id, true, change("c", 4, 4), checked));
        print("rows inside", range(id, "c"));
        abort(id);
    }

    static void tables() {
        createTable("java_with", true);
        createTable("java_without", false);
        for (String table : Arrays.asList("java_with", "java_without")) {
            print(table, outcome(() -> client.startLocalTransaction(
                new StartLocalTransactionRequest(table, partition("a"))).getTransactionID().length()));
        }
        TableMeta meta = new TableMeta("java_full_rows");
        meta.addPrimaryKeyColumn("p", PrimaryKeyType.STRING);
        TableOptions options = new TableOptions(-1, 1);
        options.setUpdateFullRow(true);
        client.createTable(new CreateTableRequest(meta, options, new ReservedThroughput(0, 0)));
        print("full rows", client.describeTable(new DescribeTableRequest("java_full_rows")).getTableOptions());
        UpdateTableRequest update = new UpdateTableRequest("java_full_rows");
        TableOptions changed = new TableOptions();
        changed.setAllowUpdate(false);
        changed.setUpdateFullRow(false);
        update.setTableOptionsForUpdate(changed);
        print("no updates", client.updateTable(update).getTableOptions());
    }

    static void createTable(String name, Boolean hasTransactions) {
        TableMeta meta = new TableMeta(name);
        meta.addPrimaryKeyColumn("p", PrimaryKeyType.STRING);
        if (hasTransactions == null) meta.addPrimaryKeyColumn("n", PrimaryKeyType.INTEGER);
        CreateTableRequest request = new CreateTableRequest(meta, new TableOptions(-1, 1), new ReservedThroughput(0, 0));
        if (hasTransactions != null) request.setLocalTxnEnabled(hasTransactions);
        client.createTable(request);
    }

    static PrimaryKey partition(String p) {
        return PrimaryKeyBuilder.createPrimaryKeyBuilder().addPrimaryKeyColumn("p", PrimaryKeyValue.fromString(p)).build();
    }

    static PrimaryKey key(String p, long n) {
        return PrimaryKeyBuilder.createPrimaryKeyBuilder().addPrimaryKeyColumn("p", PrimaryKeyValue.fromString(p))
            .addPrimaryKeyColumn("n", PrimaryKeyValue.fromLong(n)).build();
    }

    static String start(String p) {
        return client.startLocalTransaction(new StartLocalTransactionRequest(TABLE, partition(p))).getTransactionID();
    }

    static Object commit(String id) {
        client.commitTransaction(new CommitTransactionRequest(id));
        return "done";
    }

    static Object abort(String id) {
        client.abortTransaction(new AbortTransactionRequest(id));
        return "done";
    }

    static RowPutChange change(String p, long n, long value) {
        return new RowPutChange(TABLE, key(p, n)).addColumn("v", ColumnValue.fromLong(value));
    }

    static Object put(String id, String p, long n, long value) {
        PutRowRequest request = new PutRowRequest(change(p, n, value));
        if (id != null) request.setTransactionId(id);
        client.putRow(request);
        return "done";
    }

    static void update(String id, String p, long n, long value) {
        RowUpdateChange change = new RowUpdateChange(TABLE, key(p, n));
        change.put("v", ColumnValue.fromLong(value));
        UpdateRowRequest request = new UpdateRowRequest(change);
        request.setTransactionId(id);
        client.updateRow(request);
    }

    static void delete(String id, String p, long n) {
        DeleteRowRequest request = new DeleteRowRequest(new RowDeleteChange(TABLE, key(p, n)));
        request.setTransactionId(id);
        client.deleteRow(request);
    }

    static String batch(String id, boolean isAtomic, RowChange... changes) {
        BatchWriteRowRequest request = new BatchWriteRowRequest();
        for (RowChange change : changes) request.addRowChange(change);
        if (id != null) request.setTransactionId(id);
        if (isAtomic) request.setAtomic(true);
        return client.batchWriteRow(request).getRowStatus(TABLE).stream()
            .map(row -> row.isSucceed() ? "done" : row.getError().getCode() + " " + row.getError().getMessage())
            .collect(Collectors.joining(" | "));
    }

    static Object get(String id, String p, long n) {
        SingleRowQueryCriteria criteria = new SingleRowQueryCriteria(TABLE, key(p, n));
        criteria.setMaxVersions(1);
        GetRowRequest request = new GetRowRequest(criteria);
        if (id != null) request.setTransactionId(id);
        Row row = client.getRow(request).getRow();
        return row == null ? null : row.getLatestColumn("v").getValue().asLong();
    }

    static String range(String id, String p) {
        RangeRowQueryCriteria criteria = new RangeRowQueryCriteria(TABLE);
        criteria.setInclusiveStartPrimaryKey(PrimaryKeyBuilder.createPrimaryKeyBuilder()
            .addPrimaryKeyColumn("p", PrimaryKeyValue.fromString(p)).addPrimaryKeyColumn("n", PrimaryKeyValue.INF_MIN).build());
        criteria.setExclusiveEndPrimaryKey(PrimaryKeyBuilder.createPrimaryKeyBuilder()
            .addPrimaryKeyColumn("p", PrimaryKeyValue.fromString(p)).addPrimaryKeyColumn("n", PrimaryKeyValue.INF_MAX).build());
        criteria.setMaxVersions(1);
        GetRangeRequest request = new GetRangeRequest(criteria);
        if (id != null) request.setTransactionId(id);
        return client.getRange(request).getRows().stream()
            .map(row -> row.getPrimaryKey().getPrimaryKeyColumn("n").getValue() + "=" + row.getLatestColumn("v").getValue())
            .collect(Collectors.joining(" ", "[", "]"));
    }

    static String outcome(Call call) {
        try {
            return String.valueOf(call.make());
        } catch (TableStoreException error) {
            return error.getErrorCode() + " " + error.getHttpStatus() + " " + error.getMessage();
        }
    }

    static void print(String name, Object value) {
        System.out.println("> " + name + ": " + value);
    }
}
