"""What random accounts have agreed on: parents, discounts, subscriptions, minimum commitments, credits, exchange rates.

Everything begins and ends around the months of a history (2026-09 … 2026-11), mostly inside a month. Ids are dealt in
random order, so that an order by id is not the order of the rows.
"""

import random
from datetime import UTC, date, datetime, timedelta

FIRST_DAY = date(2026, 9, 20)
DAYS = 50
SUBSCRIBED = ("support", "seats")  # SKUs that nobody meters
PERCENTS = ("10", "12.5", "5", "33.333333333", "50", "0.000000001", "100", "0")
MONTHLY_AMOUNTS = ("9.99", "100", "1000", "33.333333333333", "20000", "0")
MINIMUMS = ("50", "100.005", "25000", "400000", "5000000", "60000000", "0")
CREDIT_AMOUNTS = ("5", "100.005", "1000", "40000", "2500000", "0.0004", "0")
RATES = {"EUR": ("1.08", "1.0834567", "0.999999999999"), "JPY": ("0.0067", "0.006812345678"), "KWD": ("3.25", "3.2612")}


def give_parents(dice: random.Random, accounts: list[dict]) -> None:
    """Some accounts get an earlier one as their parent, mostly with its currency; some a parent that does not exist."""
    for number, row in enumerate(accounts):
        row["parent_account_id"] = None
        if number and dice.random() < 0.55:
            parent = dice.choice(accounts[:number])
            row["parent_account_id"] = parent["account_id"]
            if dice.random() < 0.7:
                row["currency_code"] = parent["currency_code"]
        elif dice.random() < 0.15:
            row["parent_account_id"] = "gone-holding"


def make_terms(dice: random.Random, accounts: list[dict], skus: list[str]) -> dict[str, list[dict]]:
    """The tables of everything agreed, without those that turn out empty."""
    terms = {
        "discounts": [row for account in accounts for row in _discounts(dice, account, skus)],
        "subscriptions": [row for account in accounts for row in _subscriptions(dice, account, skus)],
        "commitments": [row for account in accounts for row in _commitments(dice, account)],
        "credits": [row for account in accounts for row in _credits(dice, account)],
    }
    stranger = {"account_id": "nobody", "currency_code": "USD"}
    terms["subscriptions"] += _subscriptions(dice, stranger, skus)
    for name, key in (("discounts", "disc"), ("subscriptions", "sub"), ("commitments", "com"), ("credits", "cred")):
        terms[name] = _numbered(dice, key, f"{name[:-1]}_id", terms[name])
    terms["fx_rates"] = _fx_rates(dice)
    return {name: rows for name, rows in terms.items() if rows}


def change_terms(dice: random.Random, terms: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """A later version of some of the tables: one row of each has another figure."""
    figures = {"discounts": ("percent", PERCENTS), "subscriptions": ("monthly_amount", MONTHLY_AMOUNTS)}
    figures |= {"commitments": ("minimum_amount", MINIMUMS), "credits": ("amount", CREDIT_AMOUNTS)}
    changed = {}
    for name in sorted(terms.keys() & figures):
        if dice.random() < 0.6:
            changed[name] = [dict(row) for row in terms[name]]
            figure, choices = figures[name]
            dice.choice(changed[name])[figure] = dice.choice(choices)
    return changed


def _numbered(dice: random.Random, prefix: str, column: str, rows: list[dict]) -> list[dict]:
    numbers = list(range(1, len(rows) + 1))
    dice.shuffle(numbers)
    return [{column: f"{prefix}-{number:02d}", **row} for number, row in zip(numbers, rows, strict=True)]


def _validity(dice: random.Random) -> dict:
    """From always, or from some day on; for ever, or until some later day."""
    start = FIRST_DAY + timedelta(days=dice.randint(0, DAYS)) if dice.random() < 0.6 else None
    end = (start or FIRST_DAY) + timedelta(days=dice.randint(1, DAYS)) if dice.random() < 0.5 else None
    return {"valid_from": start and str(start), "valid_to": end and str(end)}


def _currency(dice: random.Random, account: dict) -> str:
    """The account's own, now and then another."""
    return account["currency_code"] if dice.random() < 0.85 else dice.choice(["USD", *RATES])


def _discounts(dice: random.Random, account: dict, skus: list[str]) -> list[dict]:
    """Up to three on one account: on everything, on an SKU that is metered, or on one that is subscribed to."""
    return [
        {
            "account_id": account["account_id"],
            "sku": dice.choice(["*", "*", dice.choice(skus), dice.choice(SUBSCRIBED)]),
            "percent": dice.choice(PERCENTS),
            **_validity(dice),
        }
        for _ in range(dice.choice([0, 1, 1, 2, 3]))
    ]


def _subscriptions(dice: random.Random, account: dict, skus: list[str]) -> list[dict]:
    return [
        {
            "account_id": account["account_id"],
            "sku": dice.choice([*SUBSCRIBED, *SUBSCRIBED, dice.choice(skus)]),
            "currency_code": _currency(dice, account),
            "monthly_amount": dice.choice(MONTHLY_AMOUNTS),
            **_validity(dice),
        }
        for _ in range(dice.choice([0, 1, 1, 2]))
    ]


def _commitments(dice: random.Random, account: dict) -> list[dict]:
    return [
        {
            "account_id": account["account_id"],
            "currency_code": _currency(dice, account),
            "minimum_amount": dice.choice(MINIMUMS),
            **_validity(dice),
        }
        for _ in range(dice.choice([0, 0, 1, 1, 2]))
    ]


def _credits(dice: random.Random, account: dict) -> list[dict]:
    """Granted before or during the months, some without a date; a part of them expires, never just at midnight."""
    rows = []
    for _ in range(dice.choice([0, 1, 2, 3])):
        granted = datetime(2026, 8, 20, 7, 1, tzinfo=UTC) + timedelta(
            days=dice.randint(0, 80), hours=dice.randint(0, 9)
        )
        expires = granted + timedelta(days=dice.randint(1, 70), minutes=dice.randint(1, 59))
        rows.append(
            {
                "account_id": account["account_id"],
                "currency_code": _currency(dice, account),
                "amount": dice.choice(CREDIT_AMOUNTS),
                "priority": dice.choice([None, "0", "1", "2"]),
                "granted_at": granted.isoformat() if dice.random() < 0.8 else None,
                "expires_at": expires.isoformat() if dice.random() < 0.5 else None,
            }
        )
    return rows


def _fx_rates(dice: random.Random) -> list[dict]:
    """Rates to the dollar on a few days, the last of a month among them; a currency may have none, or none in time."""
    days = [date(2026, 9, 15), date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 20), date(2026, 11, 30)]
    rows = []
    for currency, rates in RATES.items():
        for day in sorted(dice.sample(days, dice.choice([0, 1, 2, 3, 5]))):
            rows.append(_rate(day, currency, "USD", dice.choice(rates)))
    return [*rows, _rate(days[0], "USD", "EUR", "0.92")]


def _rate(day: date, source: str, target: str, rate: str) -> dict:
    return {"rate_date": str(day), "from_currency": source, "to_currency": target, "rate": rate}
