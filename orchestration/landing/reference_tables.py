"""The reference tables of the contract as a table of data: columns, types, what must be given, keys, validity."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

AGGREGATIONS = ("sum", "count", "count_distinct", "max", "min", "avg", "latest", "weighted_sum", "time_weighted")
KEY_TYPES = ("api_key", "namespace", "resource_id")
PRICE_MODELS = ("flat", "per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage")

ARROW_TYPES = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "decimal": pa.decimal128(38, 12),
    "factor": pa.decimal128(38, 18),
    "date": pa.date32(),
    "instant": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Column:
    """One column. A column that is not required may be absent or empty and then holds `default`.

    `one_of` lists its values, or names a list: `currency` (ISO 4217), `time_zone` (IANA), `period` (YYYY-MM).
    `above`, `least`: an exclusive and an inclusive lower bound; `most`: an inclusive upper one.
    """

    name: str
    kind: str = "text"
    required: bool = False
    default: Any = None
    one_of: tuple[str, ...] | str | None = None
    above: int | None = None
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Table:
    """One reference table. `keys` are unique each; within the columns of `validity`, validities may not overlap.

    `parent`: (column, key column) whose chain must not run in a circle.
    """

    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    validity: tuple[str, ...] = ()
    tiers: bool = False
    parent: tuple[str, str] | None = None

    @property
    def schema(self) -> pa.Schema:
        """The table in the lake; batch_id is the batch that landed the version."""
        columns = [(column.name, ARROW_TYPES[column.kind]) for column in self.columns]
        return pa.schema([*columns, ("batch_id", pa.int64())])


def _given(name: str, kind: str = "text", **more: Any) -> Column:
    return Column(name, kind, required=True, **more)


def _valid(kind: str) -> tuple[Column, Column]:
    return Column("valid_from", kind), Column("valid_to", kind)


_CURRENCY = _given("currency_code", one_of="currency")
_PERIOD = _given("billing_period", one_of="period")

TABLES = {
    "metrics": Table(
        (
            _given("metric"),
            Column("description"),
            _given("aggregation", one_of=AGGREGATIONS),
            _given("unit"),
            Column("distinct_on"),
            Column("allow_negative", "boolean", default=False),
            Column("default_sku"),
            Column("owner"),
        ),
        keys=(("metric",),),
    ),
    "units": Table((_given("unit"), _given("base_unit"), _given("factor", "factor", above=0)), keys=(("unit",),)),
    "skus": Table(
        (
            _given("sku"),
            Column("metric"),
            Column("sku_name"),
            Column("service_name"),
            Column("service_category"),
            Column("billable", "boolean", default=True),
        ),
        keys=(("sku",),),
    ),
    "accounts": Table(
        (
            _given("account_id"),
            Column("account_name"),
            Column("segment"),
            Column("parent_account_id"),
            Column("billing_timezone", default="UTC", one_of="time_zone"),
            _CURRENCY,
        ),
        keys=(("account_id",),),
        parent=("parent_account_id", "account_id"),
    ),
    "attribution_keys": Table(
        (
            _given("key_type", one_of=KEY_TYPES),
            _given("key_value"),
            _given("account_id"),
            Column("team"),
            *_valid("instant"),
        ),
        validity=("key_type", "key_value"),
    ),
    "account_plans": Table((_given("account_id"), _given("plan_id"), *_valid("date")), validity=("account_id",)),
    "prices": Table(
        (
            _given("price_id"),
            _given("plan_id"),
            _given("sku"),
            Column("region", default="*"),
            _CURRENCY,
            _given("model", one_of=PRICE_MODELS),
            Column("free_units", "decimal", default=0, least=0),
            Column("package_size", "decimal", above=0),
            *_valid("date"),
        ),
        keys=(("price_id",),),
        validity=("plan_id", "sku", "region", "currency_code"),
    ),
    "price_tiers": Table(
        (
            _given("price_id"),
            _given("tier_number", "integer", least=1),
            Column("up_to", "decimal", above=0),
            Column("unit_price", "decimal"),
            Column("flat_fee", "decimal"),
            Column("rate_percent", "decimal"),
        ),
        keys=(("price_id", "tier_number"),),
        tiers=True,
    ),
    "commitments": Table(
        (
            _given("commitment_id"),
            _given("account_id"),
            _CURRENCY,
            _given("minimum_amount", "decimal", least=0),
            *_valid("date"),
        ),
        keys=(("commitment_id",),),
    ),
    "discounts": Table(
        (
            _given("discount_id"),
            _given("account_id"),
            Column("sku", default="*"),
            _given("percent", "decimal", least=0, most=100),
            *_valid("date"),
        ),
        keys=(("discount_id",),),
    ),
    "credits": Table(
        (
            _given("credit_id"),
            _given("account_id"),
            _CURRENCY,
            _given("amount", "decimal", least=0),
            Column("priority", "integer", default=0),
            Column("granted_at", "instant"),
            Column("expires_at", "instant"),
        ),
        keys=(("credit_id",),),
    ),
    "subscriptions": Table(
        (
            _given("subscription_id"),
            _given("account_id"),
            _given("sku"),
            _CURRENCY,
            _given("monthly_amount", "decimal", least=0),
            *_valid("date"),
        ),
        keys=(("subscription_id",),),
    ),
    "fx_rates": Table(
        (
            _given("rate_date", "date"),
            _given("from_currency", one_of="currency"),
            _given("to_currency", one_of="currency"),
            _given("rate", "decimal", above=0),
        ),
        keys=(("rate_date", "from_currency", "to_currency"),),
    ),
    "finance_ledger": Table(
        (
            _given("entry_id"),
            _PERIOD,
            _given("account_id"),
            _given("sku"),
            _CURRENCY,
            _given("amount", "decimal"),
            Column("posted_at", "instant"),
        ),
        keys=(("entry_id",),),
    ),
    "gate_waivers": Table(
        (
            _given("gate"),
            _PERIOD,
            _given("scope"),
            _given("reason"),
            Column("approved_by"),
            _given("expires_at", "instant"),
        ),
        keys=(("gate", "billing_period", "scope"),),
    ),
}

# The pairs of columns of which the first must lie before the second, wherever a table has both.
SPANS = (("valid_from", "valid_to"), ("granted_at", "expires_at"))
