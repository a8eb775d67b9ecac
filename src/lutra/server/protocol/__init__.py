"""The protocol: messages to and from the model, and the operations."""
