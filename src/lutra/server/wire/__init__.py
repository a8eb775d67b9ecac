"""The protocol's messages: the ``*_pb2`` modules, generated from the ``.proto`` files beside them by ``generate``."""
