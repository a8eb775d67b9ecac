"""Search indexes: their documents in memory, their definitions in the store, and the feeder that keeps them current."""
