"""Key-value stores whose truth is on an object store: SlateDB behind the seam of `lutra.kv.store`."""
