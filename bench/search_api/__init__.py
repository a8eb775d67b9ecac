"""The search API at the size of a million rows, beside its peers."""
