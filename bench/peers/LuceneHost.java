// The process that Lucene is in: it listens on loopback, a thread for each connection, and speaks the protocol of
// bench/peers/protocol.py, as the libraries of Python do. Run from its source:
//
//   java -cp lucene-core.jar LuceneHost.java KIND FOLDER DATA     KIND: float32, int8, 1bit or flat
//
// It says "listening on PORT", and ends when its standard input does.

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.lucene104.Lucene104Codec;
import org.apache.lucene.codecs.lucene104.Lucene104HnswScalarQuantizedVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.IntField;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.Field;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FloatVectorValues;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.KnnFloatVectorQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.RescoreTopNQuery;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.SearcherManager;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.VectorScorer;
import org.apache.lucene.search.Weight;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.quantization.QuantizedByteVectorValues.ScalarEncoding;

public class LuceneHost {
    static final int NUMBERS = 1000;
    static final int DEGREE = 16;
    static final int CANDIDATES = 200;
    static final int REOPENS_EVERY_MS = 1000; // as Elasticsearch does by default; what was written is committed then
    static final VectorSimilarityFunction L2 = VectorSimilarityFunction.EUCLIDEAN;

    record Message(Map<String, String> head, ByteBuffer body) {}

    final String kind;
    final Path data;
    final IndexWriter writer;
    final SearcherManager searchers;

    LuceneHost(String kind, Path folder, Path data) throws IOException {
        this.kind = kind;
        this.data = data;
        int threads = Runtime.getRuntime().availableProcessors();
        ExecutorService merging = threads > 1 ? Executors.newFixedThreadPool(threads, LuceneHost::daemon) : null;
        KnnVectorsFormat format = format(kind, threads, merging);
        IndexWriterConfig config = new IndexWriterConfig();
        config.setRAMBufferSizeMB(512);
        config.setCodec(new Lucene104Codec() {
            @Override
            public KnnVectorsFormat getKnnVectorsFormatForField(String field) {
                return format;
            }
        });
        writer = new IndexWriter(FSDirectory.open(folder.resolve("index")), config);
        searchers = new SearcherManager(writer, null);
    }

    static KnnVectorsFormat format(String kind, int threads, ExecutorService merging) {
        int workers = merging == null ? 1 : threads;
        return switch (kind) {
            case "float32" -> new Lucene99HnswVectorsFormat(DEGREE, CANDIDATES, workers, merging);
            case "int8" -> quantised(ScalarEncoding.UNSIGNED_BYTE, workers, merging);
            case "1bit" -> quantised(ScalarEncoding.SINGLE_BIT_QUERY_NIBBLE, workers, merging);
            // A graph is not made for fewer rows than the threshold: raw vectors alone.
            case "flat" -> new Lucene99HnswVectorsFormat(DEGREE, CANDIDATES, 1, null, Integer.MAX_VALUE);
            default -> throw new IllegalArgumentException("no such kind: " + kind);
        };
    }

    static KnnVectorsFormat quantised(ScalarEncoding encoding, int workers, ExecutorService merging) {
        return new Lucene104HnswScalarQuantizedVectorsFormat(encoding, DEGREE, CANDIDATES, workers, merging);
    }

    static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    // --- what it is asked for ------------------------------------------------------------------------------------------

    byte[] answer(Message asked) throws IOException {
        return switch (asked.head.get("op")) {
            case "load" -> load();
            case "build" -> build();
            case "search" -> search(asked);
            case "write" -> write(asked);
            default -> throw new IllegalArgumentException("no such op: " + asked.head.get("op"));
        };
    }

    byte[] load() throws IOException {
        try (Npy base = new Npy(data.resolve("base.npy")); Npy near = new Npy(data.resolve("near.npy"))) {
            float[] vector = new float[base.columns];
            for (int number = 0; number < base.rows; number++) {
                base.floats(number, vector);
                add(number, (int) near.whole(number), vector);
            }
        }
        writer.commit();
        return new byte[0];
    }

    void add(int number, int near, float[] vector) throws IOException {
        Document row = new Document();
        row.add(new NumericDocValuesField("id", number));
        row.add(new IntField("n", number % NUMBERS, Field.Store.NO));
        row.add(new IntField("near", near, Field.Store.NO));
        row.add(new KnnFloatVectorField("vector", vector.clone(), L2));
        writer.addDocument(row);
    }

    byte[] build() throws IOException {
        writer.forceMerge(1);
        writer.commit();
        searchers.maybeRefreshBlocking();
        String graph = kind.equals("flat") ? "no graph" : "M 16, 200 candidates while it is built";
        return ("one segment, " + graph).getBytes(StandardCharsets.UTF_8);
    }

    byte[] write(Message asked) throws IOException {
        int first = number(asked, "first");
        int rows = number(asked, "rows");
        FloatBuffer floats = asked.body.asFloatBuffer();
        float[] vector = new float[floats.remaining() / rows];
        for (int row = 0; row < rows; row++) {
            floats.get(vector);
            add(first + row, NUMBERS - 1, vector);
        }
        return new byte[0];
    }

    byte[] search(Message asked) throws IOException {
        float[] query = new float[asked.body.remaining() / Float.BYTES];
        asked.body.asFloatBuffer().get(query);
        int k = number(asked, "k");
        IndexSearcher searcher = searchers.acquire();
        try {
            Query filter = null;
            if (asked.head.containsKey("column")) {
                filter = IntField.newRangeQuery(asked.head.get("column"), 0, number(asked, "below") - 1);
            }
            ScoreDoc[] found = kind.equals("flat")
                ? nearestOfAll(searcher, query, filter, k)
                : nearest(searcher, query, filter, k, asked);
            return numbersOf(searcher, found);
        } finally {
            searchers.release(searcher);
        }
    }

    ScoreDoc[] nearest(IndexSearcher searcher, float[] query, Query filter, int k, Message asked) throws IOException {
        Query wanted = new KnnFloatVectorQuery("vector", query, Math.max(k, number(asked, "candidates")), filter);
        if (asked.head.containsKey("rescore")) {
            wanted = RescoreTopNQuery.createFullPrecisionRescorerQuery(wanted, query, "vector", number(asked, "rescore"));
        }
        TopDocs found = searcher.search(wanted, k);
        return found.scoreDocs;
    }

    static ScoreDoc[] nearestOfAll(IndexSearcher searcher, float[] query, Query filter, int k) throws IOException {
        PriorityQueue<ScoreDoc> best = new PriorityQueue<>((a, b) -> Float.compare(a.score, b.score));
        Weight weight = filter == null
            ? null
            : searcher.createWeight(searcher.rewrite(filter), ScoreMode.COMPLETE_NO_SCORES, 1);
        for (LeafReaderContext leaf : searcher.getIndexReader().leaves()) {
            FloatVectorValues vectors = leaf.reader().getFloatVectorValues("vector");
            VectorScorer scorer = vectors == null ? null : vectors.scorer(query);
            Scorer passing = weight == null ? null : weight.scorer(leaf);
            if (scorer == null || (weight != null && passing == null)) {
                continue;
            }
            DocIdSetIterator rows = scorer.iterator();
            DocIdSetIterator leading = passing == null ? rows : passing.iterator();
            for (int row = leading.nextDoc(); row != DocIdSetIterator.NO_MORE_DOCS; row = leading.nextDoc()) {
                if (leading == rows || rows.advance(row) == row) {
                    float score = scorer.score();
                    if (best.size() < k || score > best.peek().score) {
                        best.add(new ScoreDoc(leaf.docBase + row, score));
                        if (best.size() > k) {
                            best.poll();
                        }
                    }
                }
            }
        }
        ScoreDoc[] found = best.toArray(new ScoreDoc[0]);
        java.util.Arrays.sort(found, (a, b) -> Float.compare(b.score, a.score));
        return found;
    }

    static byte[] numbersOf(IndexSearcher searcher, ScoreDoc[] found) throws IOException {
        ByteBuffer numbers = ByteBuffer.allocate(found.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        var leaves = searcher.getIndexReader().leaves();
        for (ScoreDoc one : found) {
            LeafReaderContext leaf = leaves.get(ReaderUtil.subIndex(one.doc, leaves));
            NumericDocValues ids = leaf.reader().getNumericDocValues("id");
            ids.advanceExact(one.doc - leaf.docBase);
            numbers.putLong(ids.longValue());
        }
        return numbers.array();
    }

    static int number(Message asked, String name) {
        return Integer.parseInt(asked.head.get(name));
    }

    // --- the wire ------------------------------------------------------------------------------------------------------

    void serve(Socket end) {
        try (end;
            DataInputStream in = new DataInputStream(new BufferedInputStream(end.getInputStream(), 1 << 16));
            DataOutputStream out = new DataOutputStream(new BufferedOutputStream(end.getOutputStream(), 1 << 16))) {
            end.setTcpNoDelay(true);
            while (true) {
                Message asked = receive(in);
                try {
                    send(out, "ok=1", answer(asked));
                } catch (IOException | RuntimeException error) {
                    send(out, "error=" + error, new byte[0]);
                }
            }
        } catch (IOException closed) {
            // The other side has gone.
        }
    }

    static Message receive(DataInputStream in) throws IOException {
        byte[] head = new byte[Integer.reverseBytes(in.readInt()) /* the sizes are little-endian */ ];
        byte[] body = new byte[Integer.reverseBytes(in.readInt())];
        in.readFully(head);
        in.readFully(body);
        Map<String, String> words = new HashMap<>();
        for (String word : new String(head, StandardCharsets.UTF_8).split(" ")) {
            int at = word.indexOf('=');
            words.put(word.substring(0, at), word.substring(at + 1));
        }
        return new Message(words, ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN));
    }

    static void send(DataOutputStream out, String head, byte[] body) throws IOException {
        byte[] words = head.replace('\n', ' ').getBytes(StandardCharsets.UTF_8);
        out.writeInt(Integer.reverseBytes(words.length));
        out.writeInt(Integer.reverseBytes(body.length));
        out.write(words);
        out.write(body);
        out.flush();
    }

    // An array of numpy in a file, little-endian and in C's order.
    static class Npy implements AutoCloseable {
        final FileChannel file;
        final long begin;
        final int rows;
        final int columns;

        Npy(Path path) throws IOException {
            file = FileChannel.open(path);
            ByteBuffer start = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
            file.read(start, 0);
            byte[] head = new byte[start.getShort(8) & 0xffff];
            file.read(ByteBuffer.wrap(head), 10);
            begin = 10 + head.length;
            String words = new String(head, StandardCharsets.US_ASCII);
            String[] shape = words.substring(words.indexOf('(') + 1, words.indexOf(')')).split(",");
            rows = Integer.parseInt(shape[0].trim());
            columns = shape.length > 1 && !shape[1].isBlank() ? Integer.parseInt(shape[1].trim()) : 1;
        }

        void floats(int row, float[] into) throws IOException {
            read((long) row * columns * Float.BYTES, columns * Float.BYTES).asFloatBuffer().get(into);
        }

        long whole(int row) throws IOException {
            return read((long) row * Long.BYTES, Long.BYTES).getLong();
        }

        ByteBuffer read(long at, int size) throws IOException {
            ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
            while (bytes.hasRemaining()) {
                if (file.read(bytes, begin + at + bytes.position()) < 0) {
                    throw new EOFException("the array ends early");
                }
            }
            return bytes.flip();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    public static void main(String[] arguments) throws Exception {
        LuceneHost host = new LuceneHost(arguments[0], Path.of(arguments[1]), Path.of(arguments[2]));
        ServerSocket listening = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
        System.out.println("listening on " + listening.getLocalPort());
        Thread accepting = daemon(() -> {
            while (true) {
                try {
                    Socket end = listening.accept();
                    daemon(() -> host.serve(end)).start();
                } catch (IOException closed) {
                    return;
                }
            }
        });
        accepting.start();
        Thread reopening = daemon(() -> {
            while (true) {
                try {
                    Thread.sleep(REOPENS_EVERY_MS);
                    host.writer.commit();
                    host.searchers.maybeRefresh();
                } catch (IOException | InterruptedException ended) {
                    return;
                }
            }
        });
        reopening.start();
        while (System.in.read() >= 0) {
            // Until who started this closes it.
        }
        host.searchers.close();
        host.writer.close();
        System.exit(0);
    }
}
