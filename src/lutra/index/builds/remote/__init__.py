"""Builds on other machines: who hands them over, what carries them there, and what does them (design note 0037)."""
