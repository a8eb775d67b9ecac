"""An ordered key-value store behind one small seam (`store`); `rocksdb`, `slatedb` and `memory` stand behind it."""
