"""Many nodes over one object store: who owns which partitions, and how requests reach them."""
