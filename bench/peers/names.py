"""The peers by name, and the families that ``--engines`` takes as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from bench.peers.falkordb_peer import FalkorDb
from bench.peers.hosted import LibraryPeer
from bench.peers.library import LIBRARIES
from bench.peers.lucene_peer import Lucene
from bench.peers.lutra_peer import Lutra
from bench.peers.peer import Peer
from bench.peers.pgvector_peer import Pgvector
from bench.peers.redis_peer import Redis

PEERS: Final[Mapping[str, Callable[[], Peer]]] = {
    "lutra": lambda: Lutra("lutra"),
    "lutra-prepared": lambda: Lutra("lutra-prepared", is_prepared=True),
    "pgvector-hnsw": lambda: Pgvector("hnsw"),
    "pgvector-ivfflat": lambda: Pgvector("ivfflat"),
    "pgvector-flat": lambda: Pgvector("flat"),
    "redis-int8": lambda: Redis("redis-int8", "Q8"),
    "redis-float32": lambda: Redis("redis-float32", "NOQUANT"),
    "redis-flat": lambda: Redis("redis-flat", "NOQUANT", is_flat=True),
    "falkordb-hnsw": lambda: FalkorDb("falkordb-hnsw"),
    "falkordb-flat": lambda: FalkorDb("falkordb-flat", is_flat=True),
    "lucene-float32": lambda: Lucene("float32"),
    "lucene-int8": lambda: Lucene("int8"),
    "lucene-1bit": lambda: Lucene("1bit"),
    "lucene-flat": lambda: Lucene("flat"),
    **{name: partial(LibraryPeer, name) for name in LIBRARIES},
}
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "all": tuple(PEERS),
    "pgvector": ("pgvector-hnsw", "pgvector-ivfflat", "pgvector-flat"),
    "redis": ("redis-int8", "redis-float32", "redis-flat"),
    "falkordb": ("falkordb-hnsw", "falkordb-flat"),
    "lucene": ("lucene-float32", "lucene-int8", "lucene-1bit", "lucene-flat"),
    "faiss": ("faiss-ivf-flat", "faiss-ivf-pq", "faiss-ivf-rabitq"),
    "embedded": ("lutra-embedded", "chroma", "lancedb", "lancedb-ivf-pq", "qdrant-local", "sqlite-vec"),
}
DEFAULT: Final = (
    "lutra",
    "pgvector-hnsw",
    "redis-int8",
    "falkordb-hnsw",
    "lucene-float32",
    "lucene-int8",
    "hnswlib",
    "faiss-ivf-rabitq",
    "diskann",
    "rabitqlib",
    "lutra-embedded",
    "lancedb",
    "sqlite-vec",
)


def expanded(text: str) -> list[str]:
    """The peers that a list of names and families means, each once. Raises ValueError for what is neither."""
    names: dict[str, None] = {}
    for word in text.split(","):
        if word not in PEERS and word not in FAMILIES:
            raise ValueError(f"no such engine: {word}")
        names |= dict.fromkeys(FAMILIES.get(word, (word,)))
    return list(names)
