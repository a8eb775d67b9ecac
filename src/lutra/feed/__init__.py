"""Whatever follows the changes of a table: consumers, and the threads that bring rows to them."""
