"""Points on the earth: growable columns, and trees of boxes in segments, asked which documents are where."""
