"""The rows nearest to a vector."""

from __future__ import annotations

import numpy as np

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import KnnVector
from lutra.server.protocol.queries.parts import body_of, field_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_KNN_VECTOR)
def parse_knn_vector(body: bytes, reader: Reader, depth: int) -> KnnVector:
    message = body_of(wire.KnnVectorQuery, body)
    elements = message.float32_query_vector
    for name in ("top_k", "num_candidates"):
        # Within a process a search finds more.
        if getattr(message, name) > limits.TOP_K_MAX:
            raise ParameterInvalid(
                f"[knn_vector query] {name} must be in [1, {limits.TOP_K_MAX}], not {getattr(message, name)}"
            )
    return KnnVector(
        field=field_of(message),
        vector=np.fromiter(elements, dtype=np.float32, count=len(elements)),
        top_k=message.top_k,
        filter=reader.read(message.filter, depth) if message.HasField("filter") else None,
        weight=weight_of(message),
        min_score=message.min_score if message.HasField("min_score") else None,
        num_candidates=message.num_candidates if message.HasField("num_candidates") else None,
    )
