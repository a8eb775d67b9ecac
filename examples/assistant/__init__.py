"""An assistant that answers from documents: read, cut into passages, embedded, searched by words and meaning together.

``python -m examples.assistant`` serves its page; README.md beside this file says what else there is.
"""
