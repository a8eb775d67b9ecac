"""The threads that run operations, and which of them may go on."""
