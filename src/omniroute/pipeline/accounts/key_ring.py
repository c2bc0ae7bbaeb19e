"""Accounts with several keys: they take turns, and one that is refused leaves the others. 05 §5.3.

Which key a request goes out with is chosen when it is sent. No plan depends on it.
"""

from msgspec.structs import replace

from omniroute.routing.resilience.verdicts import Failure, Verdict
from omniroute.storage.records.configuration import Connection

EXTRA_KEYS = "extraApiKeys"
_KEY_REFUSED = frozenset({"unauthorized", "forbidden", "account_deactivated"})


class KeyRing:
    """Whose turn it is among the keys of each account, and which were refused. In memory."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._refused: dict[str, set[str]] = {}

    def pick(self, account: Connection) -> tuple[Connection, int | None]:
        """The account with the key whose turn it is, and that key's place.

        The primary key has place 0, the extra ones follow; None where there is only one key.
        """
        keys = _keys(account)
        if len(keys) < 2:
            return account, None
        refused = self._refused.get(account.id, set())
        usable = [place for place, key in keys.items() if key not in refused]
        latest = self._latest.get(account.id, -1)
        place = next((place for place in usable if place > latest), usable[0])
        self._latest[account.id] = place
        return replace(account, api_key=keys[place]), place

    def refused(self, account: Connection, place: int) -> bool:
        """A key was refused; whether another one is left to try.

        With the last one all are as new: the refusal is the account's then.
        """
        keys = _keys(account)
        refused = self._refused.setdefault(account.id, set())
        if place in keys:
            refused.add(keys[place])
        if any(key not in refused for key in keys.values()):
            return True
        self.forget(account.id)
        return False

    def forget(self, connection: str) -> None:
        """A credential changed: every key of the account counts again."""
        self._refused.pop(connection, None)


def is_refused_key(failure: Failure, verdict: Verdict) -> bool:
    """Whether a failure may be the key's alone."""
    return failure.status in (401, 403) and verdict.reason in _KEY_REFUSED


def _keys(account: Connection) -> dict[int, str]:
    """The different keys of an account, by place."""
    extra = account.options.get(EXTRA_KEYS)
    listed = [account.api_key, *(extra if isinstance(extra, list) else [])]
    found: dict[int, str] = {}
    for place, key in enumerate(listed):
        if isinstance(key, str) and key.strip() and key not in found.values():
            found[place] = key
    return found
