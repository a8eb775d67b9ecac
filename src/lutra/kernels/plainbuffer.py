"""PlainBuffer, the encoding the Tablestore wire gives rows; also the stored form of a row's cells.

Source: the official SDKs (protocol facts, section 2.1). The codec is native (``native/plainbuffer``) and holds the GIL.

Decoding checks all there is to check: tags and their order, value types, lengths, UTF-8, the checksum of every cell
and row, and that nothing follows but the zeros with which the Node SDK pads its rows. What does not fit raises
`lutra.model.errors.ParameterInvalid`, whose text says which column, and nothing is returned. Of a client's row at most
16 key and 1024 attribute columns are read; how many a key may have, its table says.

Encoding raises `ParameterInvalid` for a value that no column can hold (an int beyond 64 bits, a str with a lone
surrogate, another type), `InvalidPrimaryKey` for one that no key can hold, and `TypeError` for a row of the wrong
shape.

`encode_row_matrix` writes SimpleRowMatrix, the wire's other encoding of rows, in which a block names its columns once.
"""

from lutra.kernels._native import (
    decode_cells,
    decode_row,
    decode_rows,
    decode_variant,
    encode_cells,
    encode_change,
    encode_key,
    encode_row,
    encode_row_matrix,
    encode_rows,
    encode_variant,
    measure_row,
)

__all__ = [
    "decode_cells",
    "decode_row",
    "decode_rows",
    "decode_variant",
    "encode_cells",
    "encode_change",
    "encode_key",
    "encode_row",
    "encode_row_matrix",
    "encode_rows",
    "encode_variant",
    "measure_row",
]
