"""The fields of a usage event as tables of data: names, versions, limits. The rules over them stand in validate.sql."""

import pyarrow as pa

# What producers of schema version 1 call four fields. In a record of one version the other version's names are unknown
# fields and go to `extra`; every other name means the same in both versions.
RENAMED_SINCE_V1 = {"event_ts": "timestamp", "producer": "source", "account_id": "account", "quantity": "value"}

# Names that mean the same in both versions.
COMMON = (
    "schema_version",
    "event_id",
    "ingested_ts",
    "metric",
    "unit",
    "sku",
    "api_key",
    "namespace",
    "resource_id",
    "region",
    "sampling_rate",
    "corrects",
    "correction",
    "dims",
)

V1_NAMES = tuple(RENAMED_SINCE_V1.values())
VERSIONED = (*RENAMED_SINCE_V1.keys(), *RENAMED_SINCE_V1.values())
FIELDS = (*COMMON, *VERSIONED)

# Fields whose value may be any JSON number; their exact text is taken from the dump, never a binary floating point
# value.
EXACT_NUMBERS = ("quantity", "value", "sampling_rate")

# Fields that hold text: a JSON number there is taken as its text.
TEXT_FIELDS = tuple(name for name in FIELDS if name not in (*EXACT_NUMBERS, "dims"))

# Fields with a reason of their own for a value of the wrong shape; elsewhere an object or array makes the record
# malformed.
JUDGED_BY_VALUE = (*EXACT_NUMBERS, "schema_version", "event_ts", "timestamp", "ingested_ts")

RECORD_LIMIT_BYTES = 1 << 20  # a longer record is not parsed: oversized_field
KEPT_RECORD_BYTES = 4 << 20  # of a still longer one only this much is kept, and its detail says so

# What a reader hands on, one row per record: the values as the dump holds them, as text.
# unreadable: why the record as a whole cannot be read (its other columns are null), misshapen: which field has the
# wrong shape, too_long: the true length in bytes of a record over the limit, others: all fields outside COMMON that
# are not the natural ones of the record's version, as name and JSON token (a reader may hand over more of VERSIONED
# than needed).
CHUNK_SCHEMA = pa.schema(
    [
        ("row_number", pa.int64()),
        ("record", pa.binary()),
        ("unreadable", pa.string()),
        ("misshapen", pa.string()),
        ("too_long", pa.int64()),
        *[(name, pa.string()) for name in FIELDS],
        ("others", pa.list_(pa.struct([("name", pa.string()), ("token", pa.string())]))),
    ]
)

# The fields of version 2 as they are read off JSON by whole columns, without loss; times stay text. Dims may be null only.
MEMBER_TYPES = pa.schema(
    [
        ("schema_version", pa.int16()),
        *[(name, pa.string()) for name in TEXT_FIELDS if name != "schema_version" and name not in V1_NAMES],
        ("quantity", pa.decimal128(38, 9)),
        ("sampling_rate", pa.decimal128(38, 9)),
        ("dims", pa.null()),
    ]
)
