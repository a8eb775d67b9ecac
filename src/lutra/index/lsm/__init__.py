"""One search index: a buffer, segments on an object store, manifests, and what may be searched of them."""
