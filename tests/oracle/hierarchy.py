"""Parent accounts: on whose invoice an account's lines stand, and which accounts a charge of a parent covers."""

from collections import defaultdict

from tests.oracle.references import Books


class Hierarchy:
    """The tree of the accounts. A parent that does not exist is no parent."""

    def __init__(self, books: Books):
        self._parents, self._children = {}, defaultdict(list)
        for account_id, row in books.accounts.items():
            parent = row["parent_account_id"]
            self._parents[account_id] = parent if parent in books.accounts else None
            self._children[self._parents[account_id]].append(account_id)

    def upwards(self, account_id: str) -> list[str]:
        """The account, its parent, its parent's parent, … up to the topmost."""
        chain = [account_id]
        while (parent := self._parents.get(chain[-1])) is not None:
            chain.append(parent)
        return chain

    def invoice_account(self, account_id: str) -> str:
        """The topmost account above, whose invoice the lines of this one stand on."""
        return self.upwards(account_id)[-1]

    def depth(self, account_id: str) -> int:
        """How many accounts stand above."""
        return len(self.upwards(account_id)) - 1

    def subtree(self, account_id: str) -> set[str]:
        """The account and all its descendants."""
        return {account_id}.union(*(self.subtree(child) for child in self._children[account_id]))
