"""Documents of several kinds as one: a list of blocks with headings among them."""
