"""Limits on everything a client controls. Units are last in the names; sizes are bytes unless said.

Values follow the Tablestore documentation where it gives one, but for the number of tables: a server of one's own
has no reason to stop at 64.
"""

from __future__ import annotations

import re
from typing import Final

# Tables
TABLES_PER_INSTANCE_MAX: Final = 4_096
NAME_PATTERN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
"""Of tables, key columns and search indexes. Attribute columns: `lutra.model.names`."""
INSTANCE_NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{2,64}")
KEY_COLUMNS_MAX: Final = 4
DEFINED_COLUMNS_MAX: Final = 32
TTL_SECONDS_MIN: Final = 86_400
VERSIONS_MAX: Final = 2_147_483_647
SECONDARY_INDEXES_MAX: Final = 5
"""Of one table."""
INDEX_KEY_COLUMNS_MAX: Final = 4
"""That a secondary index is given; those of its table's key come after them."""
INDEX_COLUMNS_MAX: Final = 32
SPLITS_MAX: Final = 10
SPLIT_VALUE_BYTES_MAX: Final = 64

# Rows
KEY_VALUE_BYTES_MAX: Final = 1_024
COLUMN_NAME_BYTES_MAX: Final = 255
COLUMN_VALUE_BYTES_MAX: Final = 2 * 1024 * 1024
COLUMNS_PER_WRITE_MAX: Final = 1_024
FULL_ROW_COLUMNS_MAX: Final = 256
"""Of tables whose rows are updated as a whole."""
ROW_BYTES_MAX: Final = 32 * 1024 * 1024
COLUMNS_TO_GET_MAX: Final = 1_024
FILTER_NODES_MAX: Final = 32
FILTER_DEPTH_MAX: Final = 32

# Requests
WRITE_BYTES_MAX: Final = 4 * 1024 * 1024
BATCH_HELD_BYTES_MAX: Final = 256 * 1024 * 1024
"""What the rows of one batch of writes take in memory: an UpdateRow of one column holds all of its row."""
TRANSACTION_S_MAX: Final = 60
"""From its start to its end."""
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024
"""What the changes of one bring, as of a write."""
TRANSACTION_HELD_BYTES_MAX: Final = 64 * 1024 * 1024
"""What its rows take in memory: an UpdateRow of one column holds all of its row."""
TRANSACTIONS_MAX: Final = 1_000
"""Open at once, of all instances of a data directory."""
TRANSACTIONS_HELD_BYTES_MAX: Final = 256 * 1024 * 1024
BATCH_WRITE_ROWS_MAX: Final = 200
BATCH_GET_ROWS_MAX: Final = 100
RANGE_ROWS_MAX: Final = 5_000
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""What the rows of one BatchGetRow or Search may take together as they are stored."""
RANGE_BYTES_MAX: Final = 4 * 1024 * 1024
BODY_BYTES_MAX: Final = 5 * 1024 * 1024
SPLIT_POINTS_MAX: Final = 1_000

# Streams
STREAM_EXPIRATION_HOURS_MAX: Final = 168
STREAM_RECORDS_MAX: Final = 5_000
"""In one answer, and where no limit is given."""
STREAM_BYTES_MAX: Final = 4 * 1024 * 1024
"""That the records of one answer take as they are stored; a larger one comes alone."""
STREAM_ITERATOR_CHARS_MAX: Final = 128
ORIGINAL_COLUMNS_MAX: Final = 32

# Bulk
BULK_IMPORT_ROWS_MAX: Final = 1_000

# Search indexes
INDEXES_PER_TABLE_MAX: Final = 20
INDEX_FIELDS_MAX: Final = 1_000
VECTOR_FIELDS_MAX: Final = 5
VECTOR_DIMENSION_MAX: Final = 4_096
RECALL_TARGET_MIN: Final = 0.5
"""Below, nobody has measured what it takes. The most is 1: all codes are looked at, or all vectors."""
ARRAY_ELEMENTS_MAX: Final = 256
NESTED_LEVELS_MAX: Final = 5
"""Of NESTED and JSON fields within each other."""
NESTED_ROWS_MAX: Final = 256
"""Objects in the array of one nested field: a value of more is left out of the index."""
SUB_FIELDS_MAX: Final = 100
"""Below one column of a table, over all levels."""
KEYWORD_BYTES_MAX: Final = 4_096
"""A longer value, or element of an array, is left out of the index and counted."""
FUZZY_KEYWORD_BYTES_MAX: Final = 2_048
FLATTENED_LEAVES_MAX: Final = 1_024
"""Of one value of a FLATTENED field; what comes after them is left out."""
FLATTENED_DEPTH_MAX: Final = 20
FLATTENED_PATH_BYTES_MAX: Final = 1_024
TOP_K_MAX: Final = 1_000
"""Over the wire."""
OFFSET_PLUS_LIMIT_MAX: Final = 100_000
"""Of rows in an order, and of neighbours, within a process; what clients may ask for is less."""
SEARCH_LIMIT_DEFAULT: Final = 10
SEARCH_LIMIT_MAX: Final = 100
"""Over the wire, as the next one."""
SEARCH_LIMIT_INDEX_ONLY_MAX: Final = 1_000
SEARCHES_AT_ONCE_MAX: Final = 256
"""Of the queries that are answered together: each keeps what it found until all are done."""
SEARCH_TIMEOUT_MS_MAX: Final = 10_000
SEARCH_FINISHING_MS_MAX: Final = 1_000
"""Beyond it, to answer with what was found in time."""
QUERY_NODES_MAX: Final = 1_024
QUERY_DEPTH_MAX: Final = 64
TERMS_MAX: Final = 1_024
NESTED_FILTER_BYTES_MAX: Final = 65_536
"""Of a sorter, as a token carries it."""
INNER_HITS_DEFAULT: Final = 3
INNER_HITS_MAX: Final = 256
"""Offset and limit together."""
ANSWER_INNER_HITS_MAX: Final = 100_000
"""Of all rows of an answer, those within one another counted each."""
SCORE_FUNCTIONS_MAX: Final = 3
"""Of one query."""
PREFIX_BYTES_MAX: Final = 1_000
"""Of a suffix too."""
WILDCARD_CHARS_MAX: Final = 32
TEXT_WORDS_MAX: Final = 1_048_576
"""Of a TEXT field's value: one of more is left out of the index."""
MATCH_BYTES_MAX: Final = 65_536
"""Of the text that a match query looks for."""
MATCH_WORDS_MAX: Final = 1_024
"""That it may have, as the field's analyzer cuts it."""
SLOP_MAX: Final = 2_147_483_647
FUZZY_TEXT_CHARS_MAX: Final = 1_024
"""What comes later in a text is not found by the analyzer ``fuzzy``."""
FUZZY_SPAN_CHARS_MAX: Final = 6
"""By how many characters the longest words of ``fuzzy`` may exceed the shortest."""
FUZZY_CHARS_MAX: Final = 256
DELIMITER_CHARS_MAX: Final = 256
HIGHLIGHT_FIELDS_MAX: Final = 10
HIGHLIGHT_FRAGMENTS_MAX: Final = 500
FRAGMENT_CHARS_MAX: Final = 10_000
TAG_CHARS_MAX: Final = 256
GEO_POLYGON_POINTS_MAX: Final = 1_000
"""Whether a ring crosses itself takes time by their square."""
GEO_SORT_POINTS_MAX: Final = 100
SORTERS_MAX: Final = 16
MISSING_FIELDS_MAX: Final = 16
ROUTING_VALUES_MAX: Final = 1_000

# Scans
SCAN_LIMIT_MAX: Final = 2_000
"""Of rows in one answer, and where none is given."""
SCAN_BYTES_MAX: Final = 4 * 1024 * 1024
"""That the rows of one answer take as they are stored; a larger one comes alone."""
SCAN_ALIVE_S_DEFAULT: Final = 60
SCAN_ALIVE_S_MAX: Final = 3_600
"""What asks for more has that much."""
SCAN_SESSIONS_MAX: Final = 64
"""At once, of all indexes of a data directory."""
SCAN_BUFFER_BYTES_MAX: Final = 512 * 1024 * 1024
"""Of buffers that sessions keep in memory; one is begun in any case."""
SHARD_SESSIONS_MAX: Final = 256
"""Searches in the middle of their steps, of one shard: of more those begun first are dropped, and begun anew."""

# Aggregations
AGGREGATIONS_MAX: Final = 20
"""At one level of a search; of group-bys as many. The documentation says 5, tests of an SDK ask for 8."""
AGGREGATIONS_TOTAL_MAX: Final = 128
"""Aggregations and group-bys at all levels of a search: each keeps what it knows of its groups until all are done."""
GROUP_BY_LEVELS_MAX: Final = 3
GROUP_BY_FILTERS_MAX: Final = 10
GROUP_BY_RANGES_MAX: Final = 100
GROUP_BY_GEO_RANGES_MAX: Final = 10
GROUP_BY_SORTERS_MAX: Final = 10
GROUPS_DEFAULT: Final = 10
GROUPS_MAX: Final = 2_000
"""That a group-by answers with, within one group of another."""
COMPOSITE_SOURCES_MAX: Final = 32
COMPOSITE_TOKEN_BYTES_MAX: Final = 262_144
TOP_ROWS_MAX: Final = 100
ANSWER_GROUPS_MAX: Final = 65_536
"""Groups at all levels of an answer together, and rows of groups as many."""
PERCENTILES_MAX: Final = 100
GROUPS_KEPT_MAX: Final = 262_144
"""That one group-by knows at once, with all groups around it; of more the largest are kept, and the answer says so."""
DISTINCT_KEPT_MAX: Final = 262_144
"""Distinct values that are counted one by one, in all groups together; more go into sketches."""
PERCENTILE_VALUES_KEPT_MAX: Final = 1_048_576
"""Values that percentiles are read from, in all groups together; more go into sketches."""
AGGREGATION_NAME_BYTES_MAX: Final = 255
