"""Text to vectors: one seam, and what stands behind it."""
