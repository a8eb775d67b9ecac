"""An ordered key-value store behind one small seam (`store`); `rocksdb` and `memory` stand behind it."""
