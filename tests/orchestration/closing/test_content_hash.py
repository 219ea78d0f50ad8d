"""The content hash, and the cheap comparison beside it, tell apart what differs, and nothing else."""

import hashlib

import duckdb
import pytest

from orchestration.closing import alike, content_sha256

ROWS = """
    select * from (values (1, 'a', 1.50::decimal(38, 9)), (2, null, null), (3, '', 0::decimal(38, 9)))
    as rows (id, name, quantity)
"""


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def hash_of(connection, query):
    return content_sha256(connection, query)[1]


def test_it_is_the_hash_of_the_sorted_row_hashes(connection):
    """By hand, so that anybody can compute it without this code."""
    texts = [
        "id=INTEGER:1:1;name=VARCHAR:1:a;",
        "id=INTEGER:1:2;name=VARCHAR:null;",
        "id=INTEGER:1:3;name=VARCHAR:3:né;",  # the length is in bytes
    ]
    rows = sorted(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    expected = hashlib.sha256("".join(rows).encode()).hexdigest()
    assert content_sha256(connection, "from (values (1, 'a'), (2, null), (3, 'né')) as rows (id, name)") == (
        3,
        expected,
    )


@pytest.mark.parametrize("scale", [0, 2, 9, 17, 18, 37, 38])
def test_decimals_are_hashed_by_all_their_digits_whatever_their_size(connection, scale):
    """With numbers on both sides of what 18 digits hold: DuckDB prints these faster, and must print the same."""
    numbers = []
    for whole in (0, 1, 10**17, 10**18 - 1, 10**18, 10**18 + 1, 10**38 - 1):
        # no zero stands before a point where the type has room for none
        digits = str(whole).zfill(min(scale + 1, 38))
        number = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
        numbers += [number, f"-{number}"] if whole else [number]
    kind = f"DECIMAL(38,{scale})"
    rows = sorted(hashlib.sha256(f"n={kind}:{len(one)}:{one};".encode()).hexdigest() for one in numbers)
    values = ", ".join(f"('{number}'::{kind})" for number in numbers)
    found = content_sha256(connection, f"from (values {values}) as rows (n)")
    assert found == (len(numbers), hashlib.sha256("".join(rows).encode()).hexdigest())


def test_the_order_of_rows_and_columns_does_not_matter(connection):
    expected = hash_of(connection, f"from ({ROWS})")
    turned = f"select quantity, id, name from ({ROWS}) order by id desc"
    assert hash_of(connection, turned) == expected
    assert alike(connection, f"from ({ROWS})", turned)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select null::varchar as a, 'x' as b", "select 'x' as a, null::varchar as b"),
        ("select 1 as a where false", "select 1 as a"),
        ("select null::varchar as a", "select '' as a"),
        ("select null::varchar as a", "select 'null' as a"),
        ("select '' as a", "select ' ' as a"),
        ("select 'x' as a, 'y;b=VARCHAR:1:z' as b", "select 'x;b=VARCHAR:1:y' as a, 'z' as b"),
        ("select 'ab' as a, 'c' as b", "select 'a' as a, 'bc' as b"),
        ("select 'a' as a, 'b' as b", "select 'b' as a, 'a' as b"),
        ("select 1 as a", "select '1' as a"),
        ("select 1.0::decimal(38, 9) as a", "select 1.0::decimal(38, 6) as a"),
        ("select 0.000000001::decimal(38, 9) as a", "select 0::decimal(38, 9) as a"),
        ("select 1 as a", "select 1 as b"),
        ("select 1 as a union all select 1", "select 1 as a"),
        ("select 1 as a union all select 1", "select 1 as a union all select 2"),
        ("select 'é' as a", "select 'e\u0301' as a"),
        ("select '\\x00'::blob as a", "select ''::blob as a"),
        ("select true as a", "select false as a"),
        ("select timestamp '2026-09-30 23:59:59.999999' as a", "select timestamp '2026-10-01 00:00:00' as a"),
    ],
)
def test_different_rows_have_different_hashes(connection, one, other):
    assert hash_of(connection, one) != hash_of(connection, other)
    assert not alike(connection, one, other)


def test_it_survives_parquet(connection, tmp_path):
    query = f"select *, date '2026-09-30' as day, timestamp '2026-09-30 01:02:03.000004' as instant from ({ROWS})"
    connection.execute(f"copy ({query}) to '{tmp_path}/rows.parquet' (format parquet)")
    assert hash_of(connection, f"from '{tmp_path}/rows.parquet'") == hash_of(connection, query)
    assert alike(connection, f"from '{tmp_path}/rows.parquet'", query)


def test_many_rows_hash_the_same_on_any_number_of_threads(connection):
    query = "select range as id, (range % 7)::varchar as name from range(250000)"
    hashes = set()
    for threads in (1, 2):
        connection.execute(f"set threads = {threads}")
        hashes.add(content_sha256(connection, query))
    assert len(hashes) == 1 and next(iter(hashes))[0] == 250_000


def test_no_rows_are_the_hash_of_nothing(connection):
    assert content_sha256(connection, "select 1 as a where false") == (0, hashlib.sha256(b"").hexdigest())
