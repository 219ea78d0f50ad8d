"""Cases in YAML with several events, prices, plans and agreements: read strictly (an unknown key is an error), then entered in the books.

Every scalar is read as the text that stands in the file, so that no number passes through a float. Names (of accounts, plans, prices …) are
a case's own: in the home each gets the case's name in front.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.rating import notation
from tests.rating.books import Books

Row = dict[str, Any]
FOLDER = Path(__file__).parent
ANY = "*"
METRIC, SKU = "usage", "calls"
# the SKUs that cases may use, and whether they are billed
SKUS = {"calls": True, "storage": True, "support": True, "internal": False}
MODELS = ("flat", "per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage")
LINE_TYPES = ("usage", "subscription", "minimum", "discount", "credit")


class ScenarioError(ValueError):
    """A case that does not follow the schema; the message says where."""


@dataclass(frozen=True)
class Key:
    """One key of a section: how its text is read, and what stands where it is left out (REQUIRED: it may not be)."""

    read: Callable[[str], Any]
    default: Any = None


REQUIRED = object()


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ScenarioError(f"{text!r} is not {what}")
        return text

    return read


def _one_of(*values: str) -> Callable[[str], str]:
    return _matching("|".join(re.escape(value) for value in values), f"one of {', '.join(values)}")


name = _matching(r"[a-z0-9_]+", "a name (a-z, 0-9, _)")
sku = _one_of(*SKUS)
sku_or_any = _one_of(*SKUS, ANY)
day = _matching(r"\d{4}-\d{2}-\d{2}", "a day (YYYY-MM-DD)")
month = _matching(r"\d{4}-\d{2}", "a month (YYYY-MM)")
instant = _matching(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", "an instant with offset")
currency = _matching(r"[A-Z]{3}", "a currency code")
number = notation.number

SPAN = {"from": Key(day), "to": Key(day)}
AMOUNTS = {"precise_amount": Key(number, REQUIRED), "amount": Key(number, REQUIRED)}

SECTIONS: dict[str, dict[str, Key]] = {
    "accounts": {
        "account": Key(name, REQUIRED),
        "timezone": Key(str, "UTC"),
        "currency": Key(currency, "USD"),
        "parent": Key(name),
    },
    "plans": {"account": Key(name), "plan": Key(name, REQUIRED), **SPAN},
    "prices": {
        "price": Key(name, REQUIRED),
        "plan": Key(name, REQUIRED),
        "sku": Key(sku, SKU),
        "region": Key(str, ANY),
        "currency": Key(currency, "USD"),
        "model": Key(_one_of(*MODELS), REQUIRED),
        "tiers": Key(notation.tiers, REQUIRED),
        "free_units": Key(number),
        "package_size": Key(number),
        **SPAN,
    },
    "discounts": {
        "discount": Key(name, REQUIRED),
        "account": Key(name),
        "sku": Key(sku_or_any, ANY),
        "percent": Key(number, REQUIRED),
        **SPAN,
    },
    "subscriptions": {
        "subscription": Key(name, REQUIRED),
        "account": Key(name),
        "sku": Key(sku, "support"),
        "currency": Key(currency, "USD"),
        "monthly_amount": Key(number, REQUIRED),
        **SPAN,
    },
    "commitments": {
        "commitment": Key(name, REQUIRED),
        "account": Key(name),
        "currency": Key(currency, "USD"),
        "minimum_amount": Key(number, REQUIRED),
        **SPAN,
    },
    "credits": {
        "credit": Key(name, REQUIRED),
        "account": Key(name),
        "currency": Key(currency, "USD"),
        "amount": Key(number, REQUIRED),
        "priority": Key(number),
        "granted_at": Key(instant, REQUIRED),
        "expires_at": Key(instant),
    },
    "events": {
        "at": Key(instant, REQUIRED),
        "quantity": Key(number, REQUIRED),
        "account": Key(name),
        "sku": Key(sku, SKU),
        "region": Key(str),
    },
    # what must come out; `of` names the price, subscription, commitment, discount or credit that the line rests on, `base` (discounts)
    # what the discount takes off from; `slice_from` is compared where it is written, also when it is written empty
    "lines": {
        "period": Key(month, REQUIRED),
        "account": Key(name),
        "type": Key(_one_of(*LINE_TYPES), "usage"),
        "of": Key(name, REQUIRED),
        "base": Key(name),
        "sku": Key(sku_or_any),
        "region": Key(str),
        "currency": Key(currency, "USD"),
        "slice_from": Key(day),
        "quantity": Key(number),
        "tiers": Key(notation.tier_amounts),
        **AMOUNTS,
    },
    "unpriced": {
        "period": Key(month, REQUIRED),
        "account": Key(name),
        "plan": Key(name),
        "sku": Key(sku, SKU),
        "region": Key(str, "global"),
        "quantity": Key(number, REQUIRED),
    },
    "invoices": {
        "period": Key(month, REQUIRED),
        "account": Key(name),
        "currency": Key(currency, "USD"),
        "amount": Key(number, REQUIRED),
    },
    "balances": {
        "credit": Key(name, REQUIRED),
        "period": Key(month, REQUIRED),
        "opening": Key(number, REQUIRED),
        "burned": Key(number, REQUIRED),
        "expired": Key(number, REQUIRED),
        "closing": Key(number, REQUIRED),
    },
}
NEEDED = ("accounts", "lines", "invoices")


@dataclass(frozen=True)
class Scenario:
    """A case: rows per section, with every key of the section; `written` of a row are the keys that stand in the file."""

    case: str
    source: str
    sections: dict[str, list[Row]]

    def __getitem__(self, section: str) -> list[Row]:
        return self.sections[section]

    def own(self, text: str | None) -> str | None:
        """A name of the case as it stands in the home."""
        return text and f"{self.case}.{text}"

    def shown(self, text: str | None) -> str | None:
        """A name of the home as it stands in the case."""
        return text and text.removeprefix(f"{self.case}.")


def read_scenarios(folder: str) -> list[Scenario]:
    """All cases of the folder's YAML files. Raises ScenarioError, naming file, case and fault."""
    scenarios: list[Scenario] = []
    for path in sorted((FOLDER / folder).glob("*.yaml")):
        scenarios += parse(path.read_text(encoding="utf-8"), path.name)
    names = [scenario.case for scenario in scenarios]
    if doubled := sorted({each for each in names if names.count(each) > 1}):
        raise ScenarioError(f"{folder}: more than one case is called {', '.join(doubled)}")
    return scenarios


def parse(text: str, where: str) -> list[Scenario]:
    """The cases of one file's text."""
    try:
        cases = yaml.load(text, Loader=_Texts)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{where}: {error}") from None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ScenarioError(f"{where}: not a list of cases")
    return [_scenario(case, f"{where}: {case.get('case', 'a case without a name')}") for case in cases]


class _Texts(yaml.BaseLoader):
    """Every scalar as its text; a key that stands twice is an error, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Row:
        keys = [key.value for key, _ in node.value]
        if doubled := sorted({key for key in keys if keys.count(key) > 1}):
            raise ScenarioError(f"{', '.join(doubled)} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep=True)


def _scenario(case: Row, where: str) -> Scenario:
    if unknown := set(case) - {"case", "source", *SECTIONS}:
        raise ScenarioError(f"{where}: unknown key {', '.join(sorted(unknown))}")
    if missing := {"case", "source", *NEEDED} - set(case):
        raise ScenarioError(f"{where}: {', '.join(sorted(missing))} is missing")
    sections = {}
    for section in SECTIONS:
        rows = case.get(section, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ScenarioError(f"{where}: {section} is not a list of rows")
        sections[section] = [_row(section, row, f"{where}: {section} {number}") for number, row in enumerate(rows, 1)]
    if not re.fullmatch(r"[a-z0-9_]+", case["case"]):
        raise ScenarioError(f"{where}: not a name (a-z, 0-9, _)")
    _complete(sections, where)
    return Scenario(case["case"], case["source"], sections)


def _row(section: str, row: Row, where: str) -> Row:
    keys = SECTIONS[section]
    if unknown := set(row) - set(keys):
        raise ScenarioError(f"{where}: unknown key {', '.join(sorted(unknown))}")
    if missing := {key for key, spec in keys.items() if spec.default is REQUIRED} - {key for key in row if row[key]}:
        raise ScenarioError(f"{where}: {', '.join(sorted(missing))} is missing")
    try:
        read = {key: keys[key].read(text) if text else None for key, text in row.items()}
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from None
    return {key: spec.default for key, spec in keys.items()} | read | {"written": frozenset(row)}


def _complete(sections: dict[str, list[Row]], where: str) -> None:
    """Defaults that depend on other rows, and names that must exist: the account is the first one, a line's SKU that of what it rests on."""
    first = sections["accounts"][0]["account"]
    known = {row["account"] for row in sections["accounts"]}
    for section, rows in sections.items():
        for row in rows:
            if "account" in row and row["account"] is None:
                row["account"] = first
            if "account" in row and row["account"] not in known:
                raise ScenarioError(f"{where}: {section} names the account {row['account']}, which is not in accounts")
    for row in sections["lines"]:
        _complete_line(sections, row, where)


# line type → the section that it rests on, and the key of its name there
RESTS_ON = {
    "usage": ("prices", "price"),
    "subscription": ("subscriptions", "subscription"),
    "minimum": ("commitments", "commitment"),
    "discount": ("discounts", "discount"),
    "credit": ("credits", "credit"),
}


def _complete_line(sections: dict[str, list[Row]], row: Row, where: str) -> None:
    section, key = RESTS_ON[row["type"]]
    rests_on = next((each for each in sections[section] if each[key] == row["of"]), None)
    if rests_on is None:
        raise ScenarioError(f"{where}: a {row['type']} line is of {row['of']}, which is not in {section}")
    if (row["base"] is not None) != (row["type"] == "discount"):
        raise ScenarioError(f"{where}: discount lines, and no others, have a base")
    source = rests_on
    if row["base"]:
        bases = [each for each in sections["prices"] + sections["subscriptions"] if row["base"] in (each.get("price"), each.get("subscription"))]  # fmt: skip
        if not bases:
            raise ScenarioError(
                f"{where}: a discount takes off from {row['base']}, which is no price and no subscription"
            )
        source = bases[0]
    if row["quantity"] is None:
        if row["type"] in ("usage", "subscription"):
            raise ScenarioError(f"{where}: a {row['type']} line needs a quantity")
        row["quantity"] = Decimal(0)
    if row["sku"] is None:
        row["sku"] = source.get("sku", ANY)
    if row["region"] is None:
        is_of_usage = "price" in source and source["model"] != "flat"
        row["region"] = "global" if is_of_usage else source.get("region", ANY)


def enter(books: Books, scenario: Scenario) -> None:
    """The case's reference rows and events, under names of its own."""
    own = scenario.own
    for row in scenario["accounts"]:
        books.add(
            "accounts", account_id=own(row["account"]), billing_timezone=row["timezone"], currency_code=row["currency"],
            parent_account_id=own(row["parent"]),
        )  # fmt: skip
    for row in scenario["plans"]:
        books.add("account_plans", account_id=own(row["account"]), plan_id=own(row["plan"]), **_valid(row))
    for row in scenario["prices"]:
        books.add_price(
            own(row["price"]), row["tiers"], plan_id=own(row["plan"]), sku=row["sku"], region=row["region"],
            currency_code=row["currency"], model=row["model"], free_units=row["free_units"], package_size=row["package_size"],
            **_valid(row),
        )  # fmt: skip
    _enter_agreements(books, scenario)
    for row in scenario["events"]:
        books.add_event(
            event_ts=row["at"], metric=METRIC, quantity=row["quantity"], unit="unit", sku=row["sku"], region=row["region"],
            account_id=own(row["account"]),
        )  # fmt: skip


def _enter_agreements(books: Books, scenario: Scenario) -> None:
    own = scenario.own
    for row in scenario["discounts"]:
        books.add(
            "discounts", discount_id=own(row["discount"]), account_id=own(row["account"]), sku=row["sku"],
            percent=row["percent"], **_valid(row),
        )  # fmt: skip
    for row in scenario["subscriptions"]:
        books.add(
            "subscriptions", subscription_id=own(row["subscription"]), account_id=own(row["account"]), sku=row["sku"],
            currency_code=row["currency"], monthly_amount=row["monthly_amount"], **_valid(row),
        )  # fmt: skip
    for row in scenario["commitments"]:
        books.add(
            "commitments", commitment_id=own(row["commitment"]), account_id=own(row["account"]), currency_code=row["currency"],
            minimum_amount=row["minimum_amount"], **_valid(row),
        )  # fmt: skip
    for row in scenario["credits"]:
        books.add(
            "credits", credit_id=own(row["credit"]), account_id=own(row["account"]), currency_code=row["currency"],
            amount=row["amount"], priority=row["priority"], granted_at=row["granted_at"], expires_at=row["expires_at"],
        )  # fmt: skip


def _valid(row: Row) -> Row:
    return {"valid_from": row["from"], "valid_to": row["to"]}


def open_books() -> Books:
    """Books with the metric and the SKUs that cases use."""
    books = Books()
    books.add("metrics", metric=METRIC, aggregation="sum", unit="unit", allow_negative=False, default_sku=SKU)
    books.add("units", unit="unit", base_unit="unit", factor=1)
    for each, is_billable in SKUS.items():
        books.add("skus", sku=each, metric=METRIC, billable=is_billable)
    return books


def total(rows: list[Row], key: str) -> Decimal:
    """The sum of a column, zero for no rows."""
    return sum((row[key] for row in rows), Decimal(0))
