"""Reference tables: versions, types, defaults, and every fault that refuses a file."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration import landing
from orchestration.landing.reference_tables import TABLES

PRICE = "price_id,plan_id,sku,region,currency_code,model,valid_from,valid_to\n"
TIER = "price_id,tier_number,up_to,unit_price\n"
LEDGER = "entry_id,billing_period,account_id,sku,currency_code,amount,posted_at\n"
KEYS = "key_type,key_value,account_id,valid_from,valid_to\n"

FAULTS = [
    # table, file, what the fault must say
    ("metrics", "metric,unit\nm,u\n", "column aggregation is missing"),
    ("metrics", "metric,aggregation,unit\nm,median,u\n", "row 1: aggregation 'median' is not one of sum, count"),
    ("metrics", "metric,aggregation,unit\nm,sum,u\nn,sum,\n", "row 2: unit is empty"),
    ("metrics", "metric,aggregation,unit\nm,sum,u\nm,count,u\n", "row 2: duplicate key (metric 'm'), already in row 1"),
    (
        "metrics",
        "metric,aggregation,unit,allow_negative\nm,sum,u,maybe\n",
        "row 1: allow_negative 'maybe' is not true or false",
    ),
    ("units", "unit,base_unit,factor\nGB,byte,0\n", "row 1: factor '0' is not above 0"),
    ("units", "unit,base_unit,factor\nGB,byte,-1\n", "row 1: factor '-1' is not above 0"),
    ("units", "unit,base_unit,factor\nGB,byte,a lot\n", "row 1: factor 'a lot' is not a decimal number"),
    (
        "units",
        "unit,base_unit,factor\nx,y,0.0000000000000000001\n",
        "row 1: factor '0.0000000000000000001' is not a decimal",
    ),
    ("skus", "sku,billable\ns,\ns,true\n", "row 2: duplicate key (sku 's')"),
    ("accounts", "account_id,currency_code\na,XYZ\n", "row 1: currency_code 'XYZ' is not a known currency"),
    (
        "accounts",
        "account_id,currency_code,billing_timezone\na,USD,Mars/Base\n",
        "'Mars/Base' is not a known time zone",
    ),
    ("accounts", "account_id,currency_code\na,USD,more\n", "row 1: 3 cells under a header of 2"),
    ("accounts", "account_id,account_id,currency_code\na,a,USD\n", "column account_id stands twice"),
    ("accounts", "", "no header line"),
    ("attribution_keys", KEYS + "token,k,a,,\n", "row 1: key_type 'token' is not one of api_key"),
    (
        "attribution_keys",
        KEYS + "api_key,k,a,,2026-09-15T10:00:00Z\napi_key,k,b,2026-09-15T09:59:59Z,\n",
        "row 2: validity overlaps that of row 1",
    ),
    (
        "attribution_keys",
        KEYS + "api_key,k,a,2026-09-15,2026-09-15\n",
        "row 1: valid_from 2026-09-15 00:00:00 is not before valid_to",
    ),
    ("attribution_keys", KEYS + "api_key,k,a,soon,\n", "row 1: valid_from 'soon' is not an ISO 8601 time"),
    (
        "account_plans",
        "account_id,plan_id,valid_from\na,p,2026-01-01\na,q,2026-02-01\n",
        "row 2: validity overlaps that of row 1",
    ),
    (
        "account_plans",
        "account_id,plan_id,valid_from\na,p,2026-02-30\n",
        "row 1: valid_from '2026-02-30' is not a date",
    ),
    ("prices", PRICE + "x,p,s,*,USD,auction,,\n", "row 1: model 'auction' is not one of flat"),
    ("prices", PRICE + "x,p,s,*,USD,per_unit,,\nx,p,s,eu,USD,per_unit,,\n", "row 2: duplicate key (price_id 'x')"),
    ("prices", PRICE + "x,p,s,,USD,flat,,\ny,p,s,*,USD,flat,,\n", "row 2: validity overlaps that of row 1"),
    ("prices", PRICE + "x,p,s,*,USD,package,,\n", "row 1: a package price needs a package_size"),
    (
        "prices",
        PRICE + "x,p,s,*,USD,flat,2026-10-16,2026-10-01\n",
        "row 1: valid_from 2026-10-16 is not before valid_to 2026-10-01",
    ),
    ("price_tiers", TIER + "x,1,10,1\nx,3,,1\n", "row 1: tiers of price 'x' are not numbered 1 to 2"),
    (
        "price_tiers",
        TIER + "x,1,10,1\nx,2,10,1\n",
        "row 2: up_to of tier 2 of price 'x' is not above that of the tier before",
    ),
    ("price_tiers", TIER + "x,1,,1\nx,2,10,1\n", "row 2: tier 2 of price 'x' follows one without up_to"),
    ("price_tiers", TIER + "x,1.5,,1\n", "row 1: tier_number '1.5' is not a whole number"),
    ("price_tiers", TIER + "x,1,,0.0000000000001\n", "row 1: unit_price '0.0000000000001' is not a decimal number"),
    ("commitments", "commitment_id,account_id,currency_code,minimum_amount\nc,a,USD,1\nc,a,USD,1\n", "duplicate key"),
    ("commitments", "commitment_id,account_id,currency_code,minimum_amount\nc,a,USD,-1\n", "'-1' is below 0"),
    ("discounts", "discount_id,account_id,percent\nd,a,ten\n", "row 1: percent 'ten' is not a decimal number"),
    ("discounts", "discount_id,account_id,percent\nd,a,100.5\n", "row 1: percent '100.5' is above 100"),
    ("discounts", "discount_id,account_id,percent\nd,a,-1\n", "row 1: percent '-1' is below 0"),
    ("credits", "credit_id,account_id,currency_code,amount,granted_at\nc,a,USD,,\n", "row 1: amount is empty"),
    (
        "subscriptions",
        "subscription_id,account_id,sku,currency_code,monthly_amount\ns,a,x,usd,5\n",
        "'usd' is not a known currency",
    ),
    (
        "subscriptions",
        "subscription_id,account_id,sku,currency_code,monthly_amount\ns,a,x,USD,-5\n",
        "monthly_amount '-5' is below 0",
    ),
    (
        "accounts",
        "account_id,currency_code,parent_account_id\na,USD,b\nb,USD,c\nc,USD,b\nd,USD,gone\n",
        "row 1: parent_account_id runs in a circle: b → c → b",
    ),
    ("credits", "credit_id,account_id,currency_code,amount,granted_at\nc,a,USD,-5,2026-09-01\n", "'-5' is below 0"),
    ("fx_rates", "rate_date,from_currency,to_currency,rate\n2026-09-01,EUR,USD,0\n", "row 1: rate '0' is not above 0"),
    (
        "fx_rates",
        "rate_date,from_currency,to_currency,rate\n2026-09-01,EUR,USD,1\n2026-09-01,EUR,USD,2\n",
        "duplicate key",
    ),
    (
        "finance_ledger",
        "entry_id,billing_period,account_id,sku,currency_code,amount\ne,2026-13,a,s,USD,1\n",
        "'2026-13' is not a known period",
    ),
    ("gate_waivers", "gate,billing_period,scope,reason\ng,2026-09,a,r\n", "column expires_at is missing"),
]


@pytest.mark.parametrize(("table", "content", "fault"), FAULTS)
def test_a_broken_file_is_refused_whole_and_the_version_before_stays(land, settings, tmp_path, table, content, fault):
    path = tmp_path / f"{table}.csv"
    path.write_text(content)
    result = land(path).result
    [reference] = result.refused_references
    assert any(fault in said for said in reference.faults), reference.faults
    assert (result.batch_id, reference.version, reference.rows) == (None, None, 0)
    assert not (settings.lake / "reference").exists()


def test_every_table_has_a_fault_case():
    assert {table for table, _, _ in FAULTS} == set(TABLES)


def test_every_fault_is_listed(land, tmp_path):
    (tmp_path / "units.csv").write_text("unit,base_unit,factor\n,b,0\nu,b,x\nu,b,1\n")
    [reference] = land(tmp_path / "units.csv").result.references
    assert reference.faults == [
        "row 1: unit is empty",
        "row 1: factor '0' is not above 0",
        "row 2: factor 'x' is not a decimal number of at most 20 digits before and 18 after the point",
        "row 3: duplicate key (unit 'u'), already in row 2",
    ]


def read(settings, table: str, version: int) -> list[dict]:
    path = settings.lake / "reference" / table / f"version={version}" / "part-00000.parquet"
    parquet = pq.ParquetFile(path)
    assert parquet.schema_arrow.equals(TABLES[table].schema)
    return parquet.read().to_pylist()


def test_types_and_defaults(land, settings, tmp_path):
    files = {
        "units": "\ufeffunit,base_unit,factor\nKiB,byte,1024\nx,y,0.000000000000000001\n",
        "metrics": "metric,aggregation,unit,ignored\nm,sum,u,z\n",
        "skus": "sku\ns\n",
        "accounts": "account_id,currency_code\na,JPY\n",
        "attribution_keys": KEYS + "api_key,k,a,,2026-09-15T15:30:00+05:30\napi_key,k,b,2026-09-15T10:00:00Z,\n",
        "prices": PRICE
        + "x,p,s,,USD,per_unit,2026-10-01,2026-10-16\ny,p,s,,USD,per_unit,2026-10-16,\nz,p,s,eu,USD,flat,,\n",
        "price_tiers": TIER + "x,2,,1e-3\nx,1,10,0.000000000001\n",
        "finance_ledger": LEDGER + "e,2026-09,a,s,USD,-1.5,2026-10-02T00:00:00Z\n",
        "credits": "credit_id,account_id,currency_code,amount,granted_at\nc,a,USD,5,2026-09-01\n",
    }
    for table, content in files.items():
        (tmp_path / f"{table}.csv").write_text(content)
    result = land(*[tmp_path / f"{table}.csv" for table in files]).result
    assert result.refused_references == []
    assert [row["factor"] for row in read(settings, "units", 1)] == [Decimal(1024), Decimal("1E-18")]
    [metric] = read(settings, "metrics", 1)
    assert (metric["allow_negative"], metric["default_sku"], metric["batch_id"]) == (False, None, 1)
    assert read(settings, "skus", 1)[0]["billable"] is True
    assert read(settings, "accounts", 1)[0]["billing_timezone"] == "UTC"
    assert [row["valid_to"] for row in read(settings, "attribution_keys", 1)] == [datetime(2026, 9, 15, 10), None]
    price = read(settings, "prices", 1)[0]
    assert (price["region"], price["free_units"], price["valid_to"]) == ("*", Decimal(0), date(2026, 10, 16))
    assert [row["unit_price"] for row in read(settings, "price_tiers", 1)] == [Decimal("0.001"), Decimal("1E-12")]
    assert read(settings, "finance_ledger", 1)[0]["posted_at"] == datetime(2026, 10, 2)
    assert (read(settings, "credits", 1)[0]["priority"], read(settings, "credits", 1)[0]["expires_at"]) == (0, None)


def test_parquet_references(land, settings, tmp_path):
    pq.write_table(
        pa.table({"unit": ["h"], "base_unit": ["s"], "factor": pa.array([3600], pa.int64())}),
        tmp_path / "units.parquet",
    )
    (tmp_path / "skus.parquet").write_bytes(b"broken")
    result = land(tmp_path / "units.parquet", tmp_path / "skus.parquet").result
    assert read(settings, "units", 1) == [{"unit": "h", "base_unit": "s", "factor": Decimal(3600), "batch_id": 1}]
    assert "not a readable Parquet file" in result.refused_references[0].faults[0]


def test_each_changed_file_is_a_version_and_an_old_one_is_not_brought_back(land, settings, tmp_path):
    path = tmp_path / "units.csv"
    one, two = "unit,base_unit,factor\nGB,byte,1\n", "unit,base_unit,factor\nGB,byte,2\n"
    path.write_text(one)
    assert land(path).result.references[0].version == 1
    path.write_text(two)
    assert land(path).result.references[0].version == 2
    again = land(path).result
    assert (again.batch_id, again.already_landed[0].note) == (None, None)
    path.write_text(one)
    old = land(path).result
    assert (old.batch_id, old.already_landed[0].note) == (None, "a later version of units is in force")
    assert [int(row["factor"]) for version in (1, 2) for row in read(settings, "units", version)] == [1, 2]


def test_a_broken_version_leaves_the_one_before_in_force_and_stops_nothing_else(land, settings, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "units.csv").write_text("unit,base_unit,factor\nGB,byte,1\n")
    land(folder)
    (folder / "units.csv").write_text("unit,base_unit,factor\nGB,byte,zero\n")
    (folder / "skus.csv").write_text("sku\ns\n")
    result = land(folder).result
    assert [(reference.table, reference.status) for reference in result.references] == [
        ("skus", "landed"),
        ("units", "refused"),
    ]
    assert [path.name for path in (settings.lake / "reference/units").iterdir()] == ["version=1"]
    assert len(landing.manifests(settings)) == 2
