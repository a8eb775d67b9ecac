"""The demonstration: the documentation of the Python standard library, searched by meaning."""
