"""What the larger examples share: pages in the console's style, and data from Debian's packages."""
