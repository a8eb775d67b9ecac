"""Who may ask: credentials, signatures, and the head of a request."""
