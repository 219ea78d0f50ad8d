"""The closed periods of a home, up to a batch, in a second home: for states of the past."""

from orchestration.closing.receipts import closed_periods, folder_of, read_receipt
from orchestration.errors import UsageWarehouseError
from orchestration.landing.linking import link_file
from orchestration.settings import Settings


def link_closed(settings: Settings, other: Settings, batch_id: int) -> dict[str, str]:
    """Give the home of `other` the periods that were closed on the batch or an earlier one; period → when it was closed.

    Raises UsageWarehouseError on a receipt that cannot be read: what was closed when is not known then.
    """
    found = {}
    for period in closed_periods(settings):
        try:
            receipt = read_receipt(settings, period)
        except ValueError as error:
            raise UsageWarehouseError(f"the receipt of {period} {error}: run `usage verify`") from error
        if receipt.cutoff <= batch_id:
            found[period] = receipt.body["finalized_at"]
            for file in (receipt.path, *(receipt.table_file(entry["table"]) for entry in receipt.body["tables"])):
                link_file(file, folder_of(other, period) / file.name)
    return found
