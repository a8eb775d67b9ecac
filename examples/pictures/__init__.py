"""Pictures, found by a picture, by words in any of a hundred languages, or by both; on this machine alone."""
