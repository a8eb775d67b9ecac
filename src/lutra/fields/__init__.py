"""Kinds of fields: one module says all Lutra knows of a kind. A new kind is a new module, and a line in `kinds`."""
