"""The console: a server's tables, rows and searches in a browser, on the server's own port."""
