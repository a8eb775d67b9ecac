"""Texts and pictures to vectors: the seams, and what stands behind them."""
