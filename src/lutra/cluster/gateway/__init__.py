"""The face of a cluster in each node: it takes any request, asks owners of partitions, and puts answers together."""
