"""Columns of scalars: growable, append-only, answered by whole-column operations that give a mask over documents."""
