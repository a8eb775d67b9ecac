"""The Tablestore protocol over HTTP: messages, signing, checks, limits, metrics. One process, one port."""
