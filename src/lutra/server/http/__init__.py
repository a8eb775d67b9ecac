"""HTTP: the application, its bounds, and the process that serves it."""
