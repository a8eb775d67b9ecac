"""What searches should answer, in the most obvious Python, from what the protocol and its documentation say.

Rows are documents in memory; each kind of query looks at every one. Two things are taken as given, because they have
models of their own: how an analyzer cuts a text, and the distance of one vector to another.
"""
