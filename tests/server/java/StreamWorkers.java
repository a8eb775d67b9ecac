import com.alicloud.openservices.tablestore.*;
import com.alicloud.openservices.tablestore.model.*;
import com.aliyun.openservices.ots.internal.streamclient.*;
import com.aliyun.openservices.ots.internal.streamclient.model.*;
import java.util.*;
import java.util.concurrent.*;

/** The official stream client: two workers, one after the other, share a stream by leases and checkpoints in a table. */
public class StreamWorkers {
    static final String TABLE = "worked_on", STATUS = "workers";
    static final int ROWS = 2_000;
    static SyncClient client;

    public static void main(String[] arguments) throws Exception {
        client = new SyncClient(arguments[0], arguments[1], arguments[2], arguments[3]);
        try {
            TableMeta meta = new TableMeta(TABLE);
            meta.addPrimaryKeyColumn("id", PrimaryKeyType.INTEGER);
            CreateTableRequest request =
                new CreateTableRequest(meta, new TableOptions(-1, 1), new ReservedThroughput(0, 0));
            request.setStreamSpecification(new StreamSpecification(true, 24));
            client.createTable(request);
            write(0);
            List<Long> first = worked("first", ROWS / 2);
            write(ROWS);
            List<Long> second = worked("second", 2 * ROWS - first.size());
            System.out.println("> first: " + inOrder(first) + " from " + first.get(0));
            System.out.println("> second: " + inOrder(second) + " "
                + (second.get(0) == first.get(first.size() - 1) + 1) + " to " + second.get(second.size() - 1));
        } finally {
            client.shutdown();
        }
        System.exit(0); // a worker's pools have threads that stay
    }

    static void write(long from) {
        for (long id = from; id < from + ROWS; id += 200) {
            BatchWriteRowRequest batch = new BatchWriteRowRequest();
            for (long i = id; i < id + 200; i++) {
                RowPutChange put = new RowPutChange(TABLE, PrimaryKeyBuilder.createPrimaryKeyBuilder()
                    .addPrimaryKeyColumn("id", PrimaryKeyValue.fromLong(i)).build());
                put.addColumn("n", ColumnValue.fromLong(i));
                batch.addRowChange(put);
            }
            client.batchWriteRow(batch);
        }
    }

    static boolean inOrder(List<Long> ids) {
        for (int i = 1; i < ids.size(); i++) if (ids.get(i) != ids.get(i - 1) + 1) return false;
        return true;
    }

    /** What a worker of that name is given, until it has had so many records and noted how far it is. */
    static List<Long> worked(String name, int count) throws Exception {
        List<Long> seen = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(1);
        class Processor implements IRecordProcessor {
            public void initialize(InitializationInput input) {}

            public void processRecords(ProcessRecordsInput input) {
                if (done.getCount() == 0) return;
                for (StreamRecord record : input.getRecords()) {
                    seen.add(record.getPrimaryKey().getPrimaryKeyColumn("id").getValue().asLong());
                }
                if (seen.size() < count) return;
                try {
                    input.getCheckpointer().checkpoint();
                } catch (Exception error) {
                    throw new RuntimeException(error);
                }
                done.countDown();
            }

            public void shutdown(ShutdownInput input) {}
        }
        ClientConfig config = new ClientConfig();
        config.setLeaseDurationMillis(2_000);
        config.setMaxDurationBeforeLastSuccessfulRenewOrTakeLease(1_500);
        config.setRenewerIntervalMillis(300);
        config.setTakerIntervalMillis(300);
        config.setWorkerIdleTimeMillis(50);
        StreamConfig stream = new StreamConfig();
        stream.setOTSClient(client);
        stream.setDataTableName(TABLE);
        stream.setStatusTableName(STATUS);
        stream.setMaxRecords(150);
        ExecutorService pool = Executors.newCachedThreadPool();
        Worker worker = new Worker(name, config, stream, Processor::new, pool);
        Thread thread = new Thread(worker);
        thread.setDaemon(true);
        thread.start();
        if (!done.await(120, TimeUnit.SECONDS)) throw new RuntimeException(
            name + " had " + seen.size() + " records; " + worker.getWorkerStatus() + " " + worker.getException());
        worker.shutdown();
        thread.join(60_000);
        pool.shutdownNow();
        return new ArrayList<>(seen);
    }
}
