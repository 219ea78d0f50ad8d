"""The reference's job in Polars: `python -m tests.benchmarks.polars_job HOME OUTPUT`; the tables are then OUTPUT/<table>.parquet.

Quantities are carried as whole 10⁻⁹ths (Int128), in which sums, conversions and prices are exact; that is what a Polars decimal is inside.
Left to the reference alone: keys that change hands (each key must have one owner), and accounts that change plans.
"""

from pathlib import Path

import polars as pl

from tests.benchmarks.jobs import CURRENCIES, event_files, home_and_output, reference_file

NINTH = pl.lit("0.000000001").cast(pl.Decimal(38, 9))
KEYS = ("account_id", "api_key", "namespace", "resource_id")
SERIES = ["account_id", "metric", "sku", "region", "unit"]
CODED = ["metric", "unit", "sku", *KEYS, "region"]
NEEDED = ["producer", "event_id", "event_uuid", "event_ts", "metric", "quantity", "unit", "sku", *KEYS, "region"]


def landed(home: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(reference_file(home, table))


def coded(*columns: str) -> pl.Expr:
    """Texts of which there are few as codes, which are cheaper to join and to group by."""
    return pl.col(columns).cast(pl.Categorical)


def code(text: str) -> pl.Expr:
    return pl.lit(text).cast(pl.Categorical)


def whole(decimal: pl.Expr) -> pl.Expr:
    """A decimal as the whole number of its smallest units."""
    return decimal.to_physical().cast(pl.Int128)


def quotient(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Rounded half up, which is half away from zero for what is not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def owners(home: Path, accounts: pl.DataFrame) -> pl.DataFrame:
    """key_type, key_value → account, its zone, and from when to when."""
    own = accounts.select(
        pl.lit("account_id").alias("key_type"),
        pl.col("account_id").alias("key_value"),
        "account_id",
        "billing_timezone",
        pl.lit(None, pl.Datetime("us")).alias("valid_from"),
        pl.lit(None, pl.Datetime("us")).alias("valid_to"),
    )
    mapped = landed(home, "attribution_keys").join(
        accounts.select("account_id", "billing_timezone"), on="account_id", how="inner"
    )
    keys = pl.concat([own, mapped.select(own.columns).cast(own.schema)])
    if keys.select("key_type", "key_value").is_duplicated().any():
        raise SystemExit("a key has several owners over time: this job takes one")
    return keys.with_columns(coded("key_value", "account_id", "billing_timezone"))


def conversions(home: Path) -> pl.DataFrame:
    """metric, unit → the metric's unit and the factor to it as a fraction."""
    units = landed(home, "units").select("unit", "base_unit", whole(pl.col("factor")).alias("factor"))
    metrics = landed(home, "metrics").filter(pl.col("aggregation").is_in(["sum", "count"]))
    return (
        metrics.select("metric", "default_sku", "allow_negative", "aggregation", pl.col("unit").alias("metric_unit"))
        .join(units, left_on="metric_unit", right_on="unit")
        .join(units, on="base_unit", suffix="_of_event")
        .select(
            "metric",
            pl.col("unit"),
            "metric_unit",
            "default_sku",
            pl.col("allow_negative").fill_null(False),
            (pl.col("aggregation") == "count").alias("is_counted"),
            pl.col("factor_of_event").alias("numerator"),
            pl.col("factor").alias("denominator"),
        )
    )


def lowest_terms(fractions: pl.DataFrame) -> pl.DataFrame:
    """Numerators and denominators without their common divisors, so that products stay small."""
    from math import gcd

    pairs = [(n // gcd(n, d), d // gcd(n, d)) for n, d in fractions.select("numerator", "denominator").iter_rows()]
    return fractions.with_columns(
        pl.Series("numerator", [n for n, _ in pairs], pl.Int128),
        pl.Series("denominator", [d for _, d in pairs], pl.Int128),
    )


def local_dates(zones: list[str], first: object, last: object) -> pl.DataFrame:
    """The local date of every quarter of an hour in every zone."""
    quarters = pl.datetime_range(first, last, "15m", time_unit="us", eager=True).alias("quarter_hour")
    tables = [
        pl.DataFrame(
            {
                "billing_timezone": [zone] * len(quarters),
                "quarter_hour": quarters,
                "billing_date": quarters.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date(),
            }
        )
        for zone in zones
    ]
    return pl.concat(tables).with_columns(coded("billing_timezone"))


def attributed(events: pl.LazyFrame, keys: pl.DataFrame) -> pl.LazyFrame:
    """Whose usage it is: the first key that resolves as of the time of the event."""
    for key in KEYS:
        mapped = keys.lazy().filter(pl.col("key_type") == key)
        in_force = (pl.col("valid_from").is_null() | (pl.col("event_ts") >= pl.col("valid_from"))) & (
            pl.col("valid_to").is_null() | (pl.col("event_ts") < pl.col("valid_to"))
        )
        events = (
            events.join(
                mapped.select(
                    pl.col("key_value").alias(key),
                    pl.col("account_id").alias("owner"),
                    pl.col("billing_timezone").alias("zone"),
                    "valid_from",
                    "valid_to",
                ),
                on=key,
                how="left",
            )
            .with_columns(
                pl.when(in_force).then("owner").alias(f"owner_by_{key}"),
                pl.when(in_force).then("zone").alias(f"zone_by_{key}"),
            )
            .drop("owner", "zone", "valid_from", "valid_to")
        )
    return events.with_columns(
        pl.coalesce(f"owner_by_{key}" for key in KEYS).alias("owner_id"),
        pl.coalesce(*(f"zone_by_{key}" for key in KEYS), code("UTC")).alias("billing_timezone"),
        pl.coalesce(*(pl.when(pl.col(key).is_not_null()).then(pl.lit(key)) for key in KEYS), pl.lit("none")).alias(
            "key_type"
        ),
        pl.coalesce(KEYS).alias("key_value"),
    )


def usage(home: Path) -> pl.LazyFrame:
    """The events that count, each with its owner, billing date and quantity in the metric's unit."""
    accounts = landed(home, "accounts").with_columns(pl.col("billing_timezone").fill_null("UTC"))
    source = pl.scan_parquet(event_files(home), hive_partitioning=False)
    first, last = (
        source.select(pl.col("event_ts").min().dt.truncate("15m"), pl.col("event_ts").max().alias("l")).collect().row(0)
    )
    zones = sorted({*accounts["billing_timezone"], "UTC"})
    units = lowest_terms(conversions(home)).with_columns(coded("metric", "unit", "metric_unit", "default_sku"))
    recorded = whole(pl.col("quantity"))
    return (
        # files and rows come in the order in which they landed
        attributed(
            source.select(NEEDED)
            .with_columns(coded(*CODED))
            .unique(subset=["producer", "event_id", "event_uuid"], keep="first"),
            owners(home, accounts),
        )
        .join(units.lazy(), on=["metric", "unit"])
        .filter((pl.col("quantity") >= 0) | pl.col("allow_negative"))
        .with_columns(pl.col("event_ts").dt.truncate("15m").alias("quarter_hour"))
        .join(local_dates(zones, first, last).lazy(), on=["billing_timezone", "quarter_hour"])
        .select(
            pl.col("owner_id").alias("account_id"),
            "key_type",
            "key_value",
            "event_ts",
            "billing_date",
            "metric",
            pl.coalesce("sku", "default_sku", "metric").alias("sku"),
            pl.coalesce("region", code("global")).alias("region"),
            pl.col("metric_unit").alias("unit"),
            pl.when("is_counted")
            .then(pl.lit(10**9, pl.Int128))
            .when(pl.col("numerator") == pl.col("denominator"))
            .then(recorded)
            .otherwise(quotient(recorded * pl.col("numerator"), pl.col("denominator")))
            .alias("quantity"),
        )
    )


def nearest_rank(percent: int) -> pl.Expr:
    """The ⌈percent · n / 100⌉-th smallest."""
    return pl.col("quantity").sort().get((percent * pl.len() + 99) // 100 - 1).alias(f"p{percent}_per_minute")


TOTAL = pl.col("quantity").sum()
COUNT = pl.col("event_count").sum().cast(pl.Int64)
PEAK = pl.col("quantity").max().alias("peak_per_minute")


def rated(home: Path, daily: pl.DataFrame) -> pl.DataFrame:
    """Invoice lines: the day's price by plan, SKU and region (exact before '*'), per unit or graduated, rounded at the minor unit."""
    accounts, plans = landed(home, "accounts"), landed(home, "account_plans")
    if plans["account_id"].is_duplicated().any():
        raise SystemExit("an account changes its plan: this job takes one")
    billable = landed(home, "skus").filter("billable")["sku"]
    prices = landed(home, "prices").filter(pl.col("model").is_in(["per_unit", "graduated"]))
    named = prices.select("plan_id", "sku", "region", "currency_code", "price_id", "model", "valid_from", "valid_to")
    used = (
        daily.filter(pl.col("sku").is_in(billable.implode()))
        .join(accounts.select("account_id", "currency_code"), on="account_id")
        .join(plans.select("account_id", "plan_id"), on="account_id")
    )
    exact = named.filter(pl.col("region") != "*").rename({"price_id": "exact_id", "model": "exact_model"})
    everywhere = named.filter(pl.col("region") == "*").drop("region")
    in_force = [
        (pl.col(f"valid_from{side}").is_null() | (pl.col("billing_date") >= pl.col(f"valid_from{side}")))
        & (pl.col(f"valid_to{side}").is_null() | (pl.col("billing_date") < pl.col(f"valid_to{side}")))
        for side in ("", "_anywhere")
    ]
    chosen = (
        used.join(exact, on=["plan_id", "sku", "currency_code", "region"], how="left")
        .join(everywhere, on=["plan_id", "sku", "currency_code"], how="left", suffix="_anywhere")
        .with_columns(
            pl.coalesce(pl.when(in_force[0]).then("exact_id"), pl.when(in_force[1]).then("price_id")).alias("price_id"),
            pl.coalesce(pl.when(in_force[0]).then("exact_model"), pl.when(in_force[1]).then("model")).alias("model"),
        )
        .filter(pl.col("price_id").is_not_null())
    )
    measured = chosen.group_by(
        pl.col("billing_date").dt.strftime("%Y-%m").alias("billing_period"),
        *("account_id", "sku", "region", "unit", "price_id", "model", "currency_code"),
    ).agg(TOTAL)
    tiers = (
        landed(home, "price_tiers")
        .sort("price_id", "tier_number")
        .select(
            "price_id",
            "tier_number",
            whole(pl.col("unit_price").fill_null(0)).alias("price"),
            # edges have twelve digits, quantities nine
            (whole(pl.col("up_to")) // 1000).alias("up_to"),
            (whole(pl.col("up_to")).shift(1).over("price_id") // 1000).fill_null(0).alias("above"),
        )
    )
    graduated = pl.col("model") == "graduated"
    inside = pl.min_horizontal("quantity", pl.col("up_to").fill_null(pl.col("quantity"))) - pl.col("above")
    charged = pl.when(graduated).then(inside).otherwise("quantity")
    amounts = (
        measured.join(tiers, on="price_id")
        .filter((pl.col("tier_number") == 1) | (graduated & (pl.col("quantity") > pl.col("above"))))
        .with_columns(quotient(charged * pl.col("price"), pl.lit(10**9, pl.Int128)).alias("twelfths"))
        .group_by("billing_period", "account_id", "sku", "region", "unit", "price_id", "currency_code", "quantity")
        .agg(pl.col("twelfths").sum())
        .join(pl.read_csv(CURRENCIES), on="currency_code")
    )
    minor = pl.col("minor_unit").replace_strict({n: 10 ** (12 - n) for n in (0, 2, 3, 4)}, return_dtype=pl.Int128)
    # in millionths, as an amount has six digits behind the point
    rounded = quotient(pl.col("twelfths"), minor) * minor // 10**6
    return amounts.select(
        *("billing_period", "account_id", "sku", "region", "unit", "price_id", "currency_code", "quantity"),
        (rounded * 1000).alias("amount"),
    )


def write(table: pl.DataFrame, output: Path, name: str) -> None:
    """Whole 10⁻⁹ths become decimals again."""
    decimals = (pl.col(pl.Int128).cast(pl.Decimal(38, 9)) * NINTH).cast(pl.Decimal(38, 9))
    table.with_columns(decimals, pl.col(pl.Categorical).cast(pl.String)).write_parquet(output / f"{name}.parquet")


def run(home: Path, output: Path) -> None:
    """Computes the tables from the lake's files into Parquet files."""
    owned = pl.col("account_id").is_not_null()
    # one pass over the events: whose they are, or else the key that should have told
    everything = (
        usage(home)
        .group_by(
            pl.col("event_ts").dt.truncate("1m").alias("usage_minute"),
            "billing_date",
            *SERIES,
            *(pl.when(~owned).then(key).alias(key) for key in ("key_type", "key_value")),
        )
        .agg(TOTAL, pl.len().alias("event_count"))
        .collect(engine="streaming")
    )
    minutes = everything.filter(owned).drop("key_type", "key_value")
    day = pl.col("usage_minute").dt.date().alias("first_seen_date")
    unattributed = everything.filter(~owned).group_by(day, "key_type", "key_value", *SERIES[1:]).agg(TOTAL, COUNT)
    del everything
    hour = pl.col("usage_minute").dt.truncate("1h").alias("usage_hour")
    month = pl.col("billing_date").dt.strftime("%Y-%m").alias("billing_period")
    daily = minutes.group_by("billing_date", *SERIES).agg(TOTAL, COUNT, PEAK)
    write(unattributed, output, "unattributed_usage")
    write(minutes.group_by(hour, "billing_date", *SERIES).agg(TOTAL, COUNT), output, "usage_hourly")
    write(daily, output, "usage_daily")
    percentiles = [nearest_rank(percent) for percent in (50, 95, 99)]
    write(minutes.group_by(month, *SERIES).agg(TOTAL, COUNT, PEAK, *percentiles), output, "usage_monthly")
    write(rated(home, daily.with_columns(pl.col(SERIES).cast(pl.String))), output, "invoice_lines")


if __name__ == "__main__":
    run(*home_and_output(__doc__))
