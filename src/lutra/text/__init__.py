"""Full text: cutting texts into words, finding rows by them, scoring and highlighting."""
