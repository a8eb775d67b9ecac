"""Searches as the console's form says them: JSON in, a checked `lutra.model.queries.SearchRequest` out."""
