"""What can be asked of a server by those who watch it."""
