"""Finding the provider somebody means."""

from omniroute.catalog.names import did_you_mean
from omniroute.errors import InvalidRequest
from omniroute.routing.snapshot import Snapshot


def provider_named(
    snapshot: Snapshot, named: str, *, param: str | None = None, code: str | None = None
) -> str:
    """The id of a provider or node by its id or one of its prefixes.

    Raises:
        InvalidRequest: there is none; names the nearest.
    """
    found = snapshot.provider_named(named)
    if found is None:
        hint = did_you_mean(named, snapshot.prefixes)
        raise InvalidRequest(f"There is no provider '{named}'.{hint}", param=param, code=code)
    return found
