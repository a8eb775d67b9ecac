"""A module a page: its handlers, and at the end its ``ROUTES``."""
