"""Tables and search indexes together, one data directory at a time."""
