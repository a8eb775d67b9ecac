"""How a text becomes words, the same for texts that are stored and for those that are looked for."""

from lutra.text.analyzers.analyzer import Analyzer, Tokens
from lutra.text.analyzers.choice import analyzer_of

__all__ = ["Analyzer", "Tokens", "analyzer_of"]
