"""A process that writes numbered commits to a store, so fast that tables and logs come and go, until it is killed."""

WRITER = """
import os, sys
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
store = RocksStore(sys.argv[1], write_buffer_bytes=4 << 20)
for i in range(10**9):
    batch = WriteBatch()
    batch.put(b"a%012d" % i, os.urandom(50_000))
    batch.put(b"b%012d" % i, b"")
    store.commit(batch)
    print(i, flush=True)
"""
"""Each is said once it is acknowledged."""
