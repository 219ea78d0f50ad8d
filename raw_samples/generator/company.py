"""The company behind the samples: its accounts, plans, SKUs, meters, keys and calendar, as tables of data.

Everything here is fiction. Whoever wants another company changes this file and runs the generator again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

SEED = 20260901
REGIONS = ("us-east-1", "eu-central-1", "ap-south-1", "ap-northeast-1")
MINOR_UNITS = {"USD": 2, "EUR": 2, "JPY": 0}


def instant(text: str) -> int:
    """Epoch milliseconds of an ISO 8601 instant written with Z."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp()) * 1000


HISTORY_START = instant("2026-08-31T11:00:00Z")  # the first account to enter September (Auckland) does so at 12:00Z
HISTORY_END = instant("2026-11-01T08:00:00Z")  # past New York's change of clocks (06:00Z)
FIRST_PERIOD = "2026-09"
DAY = 86_400_000
HOUR = 3_600_000


@dataclass(frozen=True)
class Landing:
    """One arrival folder. `until` is the end of the collectors' days that it brings (epoch ms, exclusive)."""

    batch_id: int
    arrived: str
    until: int

    @property
    def as_of(self) -> str:
        return f"{self.arrived}T02:00:00Z"


LANDINGS = (
    Landing(1, "2026-10-01", instant("2026-10-01T00:00:00Z")),
    Landing(2, "2026-10-03", instant("2026-10-03T00:00:00Z")),
    Landing(3, "2026-10-20", instant("2026-10-20T00:00:00Z")),
    Landing(4, "2026-11-01", instant("2026-11-01T00:00:00Z")),
    Landing(5, "2026-11-03", instant("2026-11-03T00:00:00Z")),
    Landing(6, "2026-11-10", instant("2026-11-10T00:00:00Z")),
)


@dataclass(frozen=True)
class Close:
    """The close of a period: when it is done, the last batch it sees, and when finance posted its ledger."""

    period: str
    as_of: str
    cutoff_batch_id: int
    ledger_posted_at: str


CLOSES = (
    Close("2026-09", "2026-10-05T00:00:00Z", 2, "2026-10-02T00:00:00Z"),
    Close("2026-10", "2026-11-05T12:00:00Z", 5, "2026-11-02T00:00:00Z"),
)


@dataclass(frozen=True)
class Account:
    """A customer account. `weight` is its share of the events, `rate` the sampling rate of its API requests."""

    account_id: str
    name: str
    segment: str
    time_zone: str
    currency: str
    plan: str
    weight: int
    rate: str | None
    products: str
    parent: str | None = None

    @property
    def slug(self) -> str:
        return self.name.split()[0].lower()


# products: a = API, f = functions, s = storage, k = shared Kubernetes cluster, c = compute
_ACCOUNTS = """
Alder Logistics        | enterprise | America/New_York    | USD | 190 | 0.01 | afskc |
Bluefin Analytics      | enterprise | UTC                 | USD | 170 | 0.1  | afskc |
Cobalt Freight         | enterprise | Asia/Kolkata        | USD | 140 | 0.1  | afskc |
Dunmore Insurance      | enterprise | Europe/Berlin       | EUR | 130 | 0.1  | afskc |
Evergreen Retail       | enterprise | America/New_York    | USD | 120 | 0.25 | afskc |
Fujimori Robotics      | enterprise | Asia/Tokyo          | JPY | 110 | 0.1  | afskc |
Greywater Energy       | enterprise | Pacific/Auckland    | USD | 100 | 0.1  | afskc |
Halcyon Media          | growth     | UTC                 | USD | 90  | 0.25 | afskc |
Ironbridge Steel       | growth     | Europe/London       | EUR | 85  | 0.5  | afskc |
Juniper Health         | growth     | America/New_York    | USD | 80  | 0.1  | afskc |
Kestrel Mobility       | growth     | Europe/Berlin       | EUR | 76  | 0.25 | afskc |
Lanternfish Games      | growth     | Asia/Tokyo          | JPY | 72  | 0.1  | afskc |
Meridian Textiles      | growth     | Asia/Kolkata        | USD | 68  | 0.5  | afsk  |
Northgate Parking      | growth     | Pacific/Auckland    | USD | 64  | 0.5  | afskc |
Orchard Groceries      | growth     | UTC                 | USD | 60  | 0.25 | afskc |
Pinewood Lending       | growth     | America/Los_Angeles | USD | 56  | 0.5  | afsc  |
Quarry Minerals        | growth     | Europe/Berlin       | EUR | 54  | 0.5  | afskc |
Redwing Couriers       | growth     | Asia/Kolkata        | USD | 52  | 0.5  | afskc |
Sakuragi Electronics   | growth     | Asia/Tokyo          | JPY | 50  | 0.25 | afsc  |
Tidewater Shipping     | growth     | America/New_York    | USD | 48  | 0.5  | afskc |
Umber Ceramics         | growth     | UTC                 | EUR | 46  |      | afsk  |
Verdant Farms          | growth     | Pacific/Auckland    | USD | 44  |      | afskc |
Windmill Brewing       | growth     | Europe/Berlin       | EUR | 42  |      | afsc  |
Xylem Instruments      | payg       | UTC                 | USD | 40  |      | afskc |
Yarrow Clinics         | payg       | America/New_York    | USD | 38  |      | afsk  |
Zephyr Kites           | payg       | UTC                 | USD | 36  |      | afs   |
Amberline Tours        | payg       | Asia/Kolkata        | USD | 36  |      | afsk  |
Birchwood Schools      | payg       | America/New_York    | USD | 34  |      | afskc |
Copperfield Audio      | payg       | Europe/London       | EUR | 34  |      | afs   |
Driftwood Furniture    | payg       | UTC                 | USD | 32  |      | afsk  |
Enoshima Tea           | payg       | Asia/Tokyo          | JPY | 32  |      | afs   |
Foxglove Pharmacies    | payg       | UTC                 | USD | 30  |      | afsc  |
Glasshouse Plants      | payg       | Europe/Berlin       | EUR | 30  |      | afs   |
Hearthstone Bakeries   | payg       | UTC                 | USD | 30  |      | afsk  |
Inkwell Publishing     | payg       | America/New_York    | USD | 28  |      | afs   |
Jasper Tiles           | payg       | Asia/Kolkata        | USD | 28  |      | afs   |
Kurashiki Paper        | payg       | Asia/Tokyo          | JPY | 28  |      | afsc  |
Larkspur Events        | payg       | UTC                 | EUR | 26  |      | afs   |
Alder Cold Chain       | growth     | America/New_York    | USD | 40  | 0.5  | afskc | acct_0001
Halcyon Radio          | payg       | UTC                 | JPY | 26  |      | afs   | acct_0008
"""


def cells_of(table: str) -> list[list[str]]:
    """The cells of a table that is written as text, one row per line, `|` between cells."""
    return [[cell.strip() for cell in row.split("|")] for row in table.strip().splitlines()]


def _accounts() -> tuple[Account, ...]:
    accounts = []
    for number, row in enumerate(cells_of(_ACCOUNTS), start=1):
        name, segment, zone, currency, weight, rate, products, parent = row
        identity = (f"acct_{number:04d}", name, segment, zone, currency, f"{segment}-{currency.lower()}")
        accounts.append(Account(*identity, int(weight), rate or None, products, parent or None))
    return tuple(accounts)


ACCOUNTS = _accounts()
# account → the one that gets its invoice
INVOICED_ON = {account.account_id: account.parent or account.account_id for account in ACCOUNTS}
ACCOUNT = {account.account_id: account for account in ACCOUNTS}

# A change of plan inside a period: its usage is rated in two slices.
PLAN_CHANGE = ("acct_0026", "2026-10-10", "growth-usd")

# metric, description, aggregation, unit, default SKU, owner; the last one is registered by the second landing only
_METRICS = """
api_requests         | Requests to the API, one event per sample       | count | request    | api-standard         | api-platform
documents_analyzed   | Pages run through document analysis             | sum   | page       | document-analysis    | api-platform
api_egress           | Data sent to clients                            | sum   | GB         | api-egress           | api-platform
function_invocations | Function calls, summed by the runtime           | sum   | invocation | function-invocations | functions
function_duration    | Time that functions ran                         | sum   | s          | function-duration    | functions
storage_volume       | Stored volume over time; recounts may take back | sum   | GB_hour    | storage-standard     | storage
storage_operations   | Reads and writes of stored objects              | sum   | operation  | storage-operations   | storage
kube_cpu             | CPU requested in the shared cluster             | sum   | core_hour  | kube-cpu             | cluster
kube_memory          | Memory requested in the shared cluster          | sum   | GB_hour    | kube-memory          | cluster
instance_time        | Time that compute instances ran                 | sum   | hour       | compute-small        | compute
edge_cache_hits      | Requests answered by the edge cache             | sum   | request    | edge-cache           | api-platform
"""
ALLOWS_NEGATIVE = {"storage_volume"}


@dataclass(frozen=True)
class Metric:
    """A row of the metric registry."""

    metric: str
    description: str
    aggregation: str
    unit: str
    default_sku: str
    owner: str


ALL_METRICS = {row[0]: Metric(*row) for row in cells_of(_METRICS)}
LATE_METRIC = "edge_cache_hits"
METRICS = tuple(metric for metric in ALL_METRICS if metric != LATE_METRIC)
NEVER_REGISTERED_METRIC = "shadow_reads"

# base unit: its units with their factors
_UNITS = """
byte       | byte 1, KB 1000, MB 1000000, GB 1000000000, TB 1000000000000
s          | ms 0.001, s 1, minute 60, hour 3600
GB_hour    | GB_hour 1, MB_hour 0.001, TB_hour 1000
core_s     | core_s 1, core_hour 3600, millicore_hour 3.6
request    | request 1
invocation | invocation 1
page       | page 1
operation  | operation 1, thousand_operations 1000
"""
UNITS = tuple(  # unit, base unit, factor
    (unit, base, factor)
    for base, units in cells_of(_UNITS)
    for unit, factor in (item.split() for item in units.split(","))
)


@dataclass(frozen=True)
class Sku:
    """A SKU with its list price in USD, the edges of its graduated prices, and the free units of pay-as-you-go."""

    sku: str
    metric: str
    name: str
    service: str
    category: str
    usd: Decimal
    tiers: tuple[int, ...]
    free: int

    @property
    def billable(self) -> bool:
        return self.usd != 0


# SKU, metric, name, service, category, list price, tier edges, free units; a price of 0 means: not billable
_SKUS = """
api-standard         | api_requests         | API request           | API            | Integration             | 0.021     | 5000 40000       | 100
api-priority         | api_requests         | API request, priority | API            | Integration             | 0.034     |                  | 0
api-health-check     | api_requests         | API health check      | API            | Integration             | 0         |                  | 0
document-analysis    | documents_analyzed   | Analyzed page         | API            | AI and Machine Learning | 0.0285    | 4000 20000       | 0
api-egress           | api_egress           | Data egress           | API            | Networking              | 0.086     |                  | 50
function-invocations | function_invocations | Function call         | Functions      | Compute                 | 0.00018   | 500000 2000000   | 20000
function-duration    | function_duration    | Function second       | Functions      | Compute                 | 0.000295  |                  | 0
storage-standard     | storage_volume       | Standard storage      | Object storage | Storage                 | 0.0000319 | 2000000 10000000 | 0
storage-archive      | storage_volume       | Archive storage       | Object storage | Storage                 | 0.0000057 |                  | 0
storage-operations   | storage_operations   | Storage operation     | Object storage | Storage                 | 0.0000048 |                  | 100000
kube-cpu             | kube_cpu             | Cluster CPU           | Shared cluster | Compute                 | 0.0449    | 500 3000         | 0
kube-memory          | kube_memory          | Cluster memory        | Shared cluster | Compute                 | 0.00615   |                  | 0
compute-small        | instance_time        | Small instance        | Compute        | Compute                 | 0.124     | 200 1500         | 0
compute-large        | instance_time        | Large instance        | Compute        | Compute                 | 0.496     |                  | 0
compute-gpu          | instance_time        | GPU instance          | Compute        | Compute                 | 2.95      | 100 400          | 0
edge-cache           | edge_cache_hits      | Edge cache hit        | API            | Networking              | 0.0000075 |                  | 0
"""
ALL_SKUS = tuple(
    Sku(*row[:5], Decimal(row[5]), tuple(int(edge) for edge in row[6].split()), int(row[7])) for row in cells_of(_SKUS)
)
SKUS = tuple(sku for sku in ALL_SKUS if sku.metric != LATE_METRIC)  # known from the start

PLAN_FACTOR = {"payg": Decimal("1"), "growth": Decimal("0.92"), "enterprise": Decimal("0.80")}
CURRENCY_FACTOR = {"USD": Decimal("1"), "EUR": Decimal("0.92"), "JPY": Decimal("149")}
TIER_FACTOR = (Decimal("1"), Decimal("0.9"), Decimal("0.8"))
REGION_PRICE = ("compute-gpu", "ap-northeast-1", Decimal("1.12"))  # an exact region goes before `*`
ENTRY_FEE = ("enterprise-usd", "compute-gpu", 2, Decimal("40"))  # flat fee once on entering tier 2
PRICE_CHANGES = (  # SKU (in every plan), first date of the new price, factor, landing that announces it
    ("document-analysis", "2026-10-16", Decimal("1.04"), 2),
    ("storage-operations", "2026-10-01", Decimal("1.25"), 1),
)

MOVED_KEY = "key-0015-7c2e"
MOVED_KEY_FROM, MOVED_KEY_TO = "acct_0015", "acct_0024"
MOVED_KEY_AT = "2026-10-14T09:30:00Z"
_MOVED = instant(MOVED_KEY_AT)
YOUNG_KEY = "key-0033-new0"  # valid only since then; used earlier, so that usage belongs to nobody
YOUNG_KEY_ACCOUNT, YOUNG_KEY_FROM = "acct_0033", "2026-09-10T00:00:00Z"
LATE_NAMESPACE, LATE_NAMESPACE_ACCOUNT = "redwing-batch", "acct_0018"  # registered by the second landing
WAIVED_ACCOUNT = "acct_0027"


def api_keys(account: Account, at: int) -> tuple[str, ...]:
    """The API keys that the account uses at an instant; the moved key changes hands at MOVED_KEY_AT."""
    number = account.account_id[-4:]
    keys = (f"key-{number}-a41c", f"key-{number}-d90b")
    moved = at >= _MOVED
    if (account.account_id == MOVED_KEY_FROM and not moved) or (account.account_id == MOVED_KEY_TO and moved):
        return (*keys, MOVED_KEY, MOVED_KEY)
    return keys


def namespaces(account: Account) -> tuple[str, ...]:
    """The account's namespaces of the shared cluster."""
    slug = account.slug if account.parent is None else f"{account.slug}-sub"
    return (f"{slug}-prod", f"{slug}-staging") if account.weight >= 50 else (f"{slug}-prod",)


def instances(account: Account) -> tuple[tuple[str, str], ...]:
    """The account's compute instances as (resource_id, sku)."""
    number = account.account_id[-4:]
    kinds = ("compute-small", "compute-large", "compute-small", "compute-gpu")
    return tuple(
        (f"vm-{number}-{index}", kind) for index, kind in enumerate(kinds if account.weight >= 40 else kinds[:2])
    )
