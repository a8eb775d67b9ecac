import com.alicloud.openservices.tablestore.*;
import com.alicloud.openservices.tablestore.core.protocol.*;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.Stream;
import com.alicloud.openservices.tablestore.model.filter.*;
import com.alicloud.openservices.tablestore.model.iterator.*;
import com.alicloud.openservices.tablestore.model.tunnel.BulkExportQueryCriteria;
import com.alicloud.openservices.tablestore.writer.*;
import com.alicloud.openservices.tablestore.writer.enums.*;
import java.util.*;
import java.util.stream.*;

/** Streams, bulk import and bulk export as the Java SDK has them; prints what it reads in the answers, a line each. */
public class Streams {
    static final String TABLE = "java_streams";
    static SyncClient client;

    public static void main(String[] arguments) throws Exception {
        client = new SyncClient(arguments[0], arguments[1], arguments[2], arguments[3]);
        try {
            prepare();
            String at = describe();
            records(at);
            again(at);
            bulkImport();
            bulkExport();
            writer(arguments);
        } finally {
            client.shutdown();
        }
    }

    static void print(String name, Object value) {
        System.out.println("> " + name + ": " + value);
    }

    static PrimaryKey key(long id) {
        return PrimaryKeyBuilder.createPrimaryKeyBuilder().addPrimaryKeyColumn("id", PrimaryKeyValue.fromLong(id)).build();
    }

    static PrimaryKey bound(PrimaryKeyValue value) {
        return PrimaryKeyBuilder.createPrimaryKeyBuilder().addPrimaryKeyColumn("id", value).build();
    }

    static RowPutChange put(long id, Object... columns) {
        RowPutChange change = new RowPutChange(TABLE, key(id));
        for (int i = 0; i < columns.length; i += 2) {
            Object value = columns[i + 1];
            change.addColumn((String) columns[i], value instanceof Long ? ColumnValue.fromLong((Long) value)
                : value instanceof Double ? ColumnValue.fromDouble((Double) value)
                : value instanceof Boolean ? ColumnValue.fromBoolean((Boolean) value)
                : value instanceof byte[] ? ColumnValue.fromBinary((byte[]) value)
                : ColumnValue.fromString((String) value));
        }
        return change;
    }

    static void prepare() {
        TableMeta meta = new TableMeta(TABLE);
        meta.addPrimaryKeyColumn("id", PrimaryKeyType.INTEGER);
        CreateTableRequest request =
            new CreateTableRequest(meta, new TableOptions(-1, 3), new ReservedThroughput(0, 0));
        StreamSpecification stream = new StreamSpecification(true, 24);
        stream.addOriginColumnsToGet("n");
        request.setStreamSpecification(stream);
        client.createTable(request);
    }

    static String describe() {
        StreamDetails details = client.describeTable(new DescribeTableRequest(TABLE)).getStreamDetails();
        print("details", details.isEnableStream() + " " + details.getExpirationTime() + " "
            + details.getOriginColumnsToGet() + " " + (details.getLastEnableTime() > 0));
        List<Stream> streams = client.listStream(new ListStreamRequest(TABLE)).getStreams();
        print("list", streams.size() + " " + streams.get(0).getTableName() + " "
            + streams.get(0).getStreamId().equals(details.getStreamId()));
        DescribeStreamResponse stream = client.describeStream(new DescribeStreamRequest(details.getStreamId()));
        print("stream", stream.getTableName() + " " + stream.getExpirationTime() + " " + stream.getStatus() + " "
            + stream.getShards().size() + " " + stream.getNextShardId());
        GetShardIteratorRequest request =
            new GetShardIteratorRequest(details.getStreamId(), stream.getShards().get(0).getShardId());
        request.setTimestamp(details.getLastEnableTime());
        GetShardIteratorResponse response = client.getShardIterator(request);
        print("token", response.getNextToken());
        return response.getShardIterator();
    }

    static String shown(RecordColumn column) {
        Column cell = column.getColumn();
        String value = column.getColumnType() == RecordColumn.ColumnType.PUT ? "=" + cell.getValue() : "";
        return column.getColumnType() + " " + cell.getName() + value + (cell.hasSetTimestamp() ? " at" : "");
    }

    static String shown(List<RecordColumn> columns) {
        return columns.stream().map(Streams::shown).collect(Collectors.joining(", ", "[", "]"));
    }

    static void records(String at) {
        client.putRow(new PutRowRequest(put(1, "n", 5L, "text", "a")));
        RowUpdateChange update = new RowUpdateChange(TABLE, key(1));
        update.increment(new Column("n", ColumnValue.fromLong(2)));
        update.put("flag", ColumnValue.fromBoolean(true));
        update.deleteColumns("text");
        update.deleteColumn("old", 1_000);
        client.updateRow(new UpdateRowRequest(update));
        client.deleteRow(new DeleteRowRequest(new RowDeleteChange(TABLE, key(1))));
        BatchWriteRowRequest batch = new BatchWriteRowRequest();
        batch.addRowChange(put(2, "n", 1L));
        batch.addRowChange(put(3, "n", 1L));
        client.batchWriteRow(batch);
        GetStreamRecordRequest request = new GetStreamRecordRequest(at);
        request.setLimit(3);
        GetStreamRecordResponse response = client.getStreamRecord(request);
        print("more", response.getMayMoreRecord());
        List<StreamRecord> records = new ArrayList<>(response.getRecords());
        GetStreamRecordResponse rest =
            client.getStreamRecord(new GetStreamRecordRequest(response.getNextShardIterator()));
        records.addAll(rest.getRecords());
        long last = 0;
        boolean rises = true;
        for (int i = 0; i < records.size(); i++) {
            StreamRecord record = records.get(i);
            RecordSequenceInfo info = record.getSequenceInfo();
            rises &= info.getTimestamp() >= last;
            last = info.getTimestamp();
            print("record " + i, record.getRecordType() + " "
                + record.getPrimaryKey().getPrimaryKeyColumn("id").getValue() + " " + shown(record.getColumns())
                + " was " + shown(record.getOriginColumns()) + " " + info.getEpoch() + "/" + info.getRowIndex());
        }
        print("times", rises + " " + Math.abs(last / 1_000 - System.currentTimeMillis()) / 60_000);
        print("end", rest.getMayMoreRecord() + " " + client.getStreamRecord(
            new GetStreamRecordRequest(rest.getNextShardIterator())).getNextShardIterator()
                .equals(rest.getNextShardIterator()));
    }

    static void again(String at) {
        UpdateTableRequest request = new UpdateTableRequest(TABLE);
        request.setStreamSpecification(new StreamSpecification(false));
        print("disabled", client.updateTable(request).getStreamDetails().isEnableStream());
        try {
            client.getStreamRecord(new GetStreamRecordRequest(at));
        } catch (TableStoreException error) {
            print("gone", error.getErrorCode() + " " + error.getHttpStatus() + " " + error.getMessage());
        }
    }

    static void bulkImport() {
        BulkImportRequest request = new BulkImportRequest(TABLE);
        for (long id = 10; id < 20; id++) {
            request.addRowChange(put(id, "l", id, "s", "text " + id, "d", id / 4.0, "b", id % 2 == 0,
                "x", new byte[] {(byte) id}));
        }
        request.addRowChange(new RowDeleteChange(TABLE, key(2)));
        RowUpdateChange update = new RowUpdateChange(TABLE, key(3));
        update.increment(new Column("n", ColumnValue.fromLong(2)));
        request.addRowChange(update);
        RowUpdateChange wrong = new RowUpdateChange(TABLE, key(10));
        wrong.increment(new Column("s", ColumnValue.fromLong(1)));
        request.addRowChange(wrong);
        BulkImportResponse response = client.bulkImport(request);
        print("imported", response.getSucceedRows().size() + " " + response.getSucceedRows().get(0)
            .getConsumedCapacity().getCapacityUnit().getWriteCapacityUnit());
        BulkImportResponse.RowResult failed = response.getFailedRows().get(0);
        print("failed", response.getFailedRows().size() + " " + failed.getIndex() + " " + failed.getError().getCode());
    }

    static BulkExportQueryCriteria criteria() {
        BulkExportQueryCriteria criteria = new BulkExportQueryCriteria(TABLE);
        criteria.setInclusiveStartPrimaryKey(bound(PrimaryKeyValue.INF_MIN));
        criteria.setExclusiveEndPrimaryKey(bound(PrimaryKeyValue.INF_MAX));
        return criteria;
    }

    static void bulkExport() throws Exception {
        RangeIteratorParameter parameter = new RangeIteratorParameter(TABLE);
        parameter.setInclusiveStartPrimaryKey(bound(PrimaryKeyValue.INF_MIN));
        parameter.setExclusiveEndPrimaryKey(bound(PrimaryKeyValue.INF_MAX));
        List<String> ids = new ArrayList<>();
        Row last = null;
        for (BulkExportIterator rows = new BulkExportIterator(client, parameter); rows.hasNext();) {
            last = rows.next();
            ids.add(last.getPrimaryKey().getPrimaryKeyColumn("id").getValue().toString());
        }
        print("exported", ids);
        print("values", Arrays.stream(last.getColumns()).map(column -> column.getName() + "="
            + (column.getName().equals("x") ? Arrays.toString(column.getValue().asBinary()) : column.getValue()))
            .collect(Collectors.joining(" ")));
        BulkExportQueryCriteria criteria = criteria();
        criteria.addColumnsToGet(Arrays.asList("l", "none", "n"));
        criteria.setFilter(new SingleColumnValueFilter("l", SingleColumnValueFilter.CompareOperator.GREATER_EQUAL,
            ColumnValue.fromLong(18)).setPassIfMissing(false));
        SimpleRowMatrixBlockRowIterator matrix = new SimpleRowMatrixBlockRowIterator(client, criteria, true);
        List<String> found = new ArrayList<>();
        while (matrix.hasNext()) {
            matrix.next();
            found.add(matrix.getLong("id") + ":" + matrix.getLong("l") + ":" + matrix.isNull("none"));
        }
        print("matrix", found + " " + (matrix.getCompletedBytes() > 0));
        BulkExportQueryCriteria empty = criteria();
        empty.setInclusiveStartPrimaryKey(bound(PrimaryKeyValue.fromLong(1_000)));
        print("nothing", new SimpleRowMatrixBlockRowIterator(client, empty, true).hasNext());
        criteria = criteria();
        criteria.setDataBlockType(DataBlockType.DBT_PLAIN_BUFFER);
        BulkExportResponse response = client.bulkExport(new BulkExportRequest(criteria));
        List<PlainBufferRow> rows = new PlainBufferCodedInputStream(
            new PlainBufferInputStream(response.getRows())).readRowsWithHeader();
        print("plain", response.getDataBlockType() + " " + rows.size() + " " + response.getNextStartPrimaryKey());
    }

    /** The SDK's own writer, told to import in bulk. */
    static void writer(String[] arguments) throws Exception {
        WriterConfig config = new WriterConfig();
        config.setBatchRequestType(BatchRequestType.BULK_IMPORT);
        config.setBucketCount(2);
        com.alicloud.openservices.tablestore.core.auth.ServiceCredentials credentials =
            new com.alicloud.openservices.tablestore.core.auth.DefaultCredentials(arguments[1], arguments[2]);
        DefaultTableStoreWriter writer = new DefaultTableStoreWriter(
            arguments[0], credentials, arguments[3], TABLE, config, null);
        try {
            for (long id = 1_000; id < 1_500; id++) writer.addRowChange(put(id, "l", id));
            writer.flush();
            print("writer", writer.getWriterStatistics().getTotalSucceedRowsCount() + " "
                + writer.getWriterStatistics().getTotalFailedRowsCount() + " "
                + writer.getWriterStatistics().getTotalSingleRowRequestCount());
        } finally {
            writer.close();
        }
    }
}
