"""What a search index is declared as: its schema, checked against a table, and as the store holds it."""
