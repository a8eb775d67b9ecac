"""Keeping search indexes current: the threads that follow the changelogs of tables."""
