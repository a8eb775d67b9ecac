"""The assistant's page: a chat, its sources, and the documents they are in."""
