"""Which search indexes there are."""
