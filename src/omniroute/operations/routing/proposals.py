"""A configuration that is only thought of: what is proposed, over what is in force."""

from typing import Any

from msgspec import Struct, field

from omniroute.engine import Engine
from omniroute.operations.combos.combos import ComboInput, combo_of
from omniroute.operations.configuration.settings import require_valid_settings
from omniroute.operations.money.pricing import PriceMap, with_prices
from omniroute.routing.settings import SETTINGS
from omniroute.routing.snapshot import Snapshot, revised


class Proposal(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes to try on the past, in the shapes in which they would be made.

    Attributes:
        combos: combos as for `POST /api/combos`; one with a known name takes its place.
        without_combos: names of combos that would be gone.
        settings: settings as for `PATCH /api/settings`; null is the default.
        pricing: prices as for `PATCH /api/pricing`.
    """

    combos: list[ComboInput] = []
    without_combos: list[str] = []
    settings: dict[str, Any] = {}
    pricing: PriceMap = field(default_factory=dict)


def proposed(engine: Engine, proposal: Proposal) -> Snapshot:
    """The configuration as it would be. Nothing is stored.

    Raises:
        InvalidRequest, ValidationFailed: as for making these changes.
    """
    require_valid_settings(proposal.settings)
    snapshot = engine.snapshot
    gone = {*proposal.without_combos, *(one.name.strip() for one in proposal.combos)}
    combos = [row for name, row in snapshot.combos.items() if name not in gone]
    for new in proposal.combos:
        combos.append(combo_of(engine, new, combos))
    changed = {
        name: SETTINGS[name] if value is None else value
        for name, value in proposal.settings.items()
    }
    return revised(
        snapshot,
        combos=combos,
        settings={**snapshot.settings, **changed},
        stated_prices=with_prices(engine, snapshot.stated_prices, proposal.pricing),
    )
