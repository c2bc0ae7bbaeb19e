"""Finding the combo somebody means."""

from omniroute.catalog.names import did_you_mean
from omniroute.errors import NotFound
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Combo

_MOST_NAMED = 5


def combo_named(snapshot: Snapshot, named: str, param: str | None = None) -> Combo:
    """A combo by its id or its name.

    Raises:
        NotFound: there is none; names the nearest, or some that there are.
    """
    found = snapshot.combos_by_id.get(named) or snapshot.combos.get(named)
    if found is not None:
        return found
    hint = did_you_mean(named, snapshot.combos)
    if not hint:
        some = list(snapshot.combos)[:_MOST_NAMED]
        more = "" if len(some) == len(snapshot.combos) else ", ..."
        hint = f" There are: {', '.join(some)}{more}." if some else " None is configured yet."
    raise NotFound(f"There is no combo '{named}'.{hint}", param=param)
