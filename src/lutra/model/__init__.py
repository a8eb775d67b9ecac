"""The nouns of Lutra: schemas, values, rows, conditions, queries and errors. Nothing here does I/O."""
