"""How the gateway stands, in the form Prometheus reads."""

from omniroute.caller import Caller
from omniroute.engine import Engine

_BREAKER = {"CLOSED": 0.0, "HALF_OPEN": 1.0, "OPEN": 2.0}


async def metrics(engine: Engine, caller: Caller) -> bytes:
    """What was counted since the process began, and how things stand at this moment."""
    now_ms, found, view = engine.now_ms(), engine.metrics, engine.health.view()
    found.set("omniroute_info", "The version that runs.", {(engine.version,): 1}, "version")
    found.set(
        "omniroute_uptime_seconds",
        "Since the process began.",
        {(): (now_ms - engine.started_at_ms) / 1000},
    )
    found.set(
        "omniroute_configuration_version",
        "One more with every change of the configuration.",
        {(): engine.snapshot.version},
    )
    found.set(
        "omniroute_breaker_state",
        "Breakers of providers: 0 closed, 1 half open, 2 open.",
        {(name,): _BREAKER[row.state(now_ms)] for name, row in view.breakers.items()},
        "provider",
    )
    cooling: dict[tuple[str, ...], float] = {}
    for connection, row in view.cooldowns.items():
        account = engine.snapshot.connections.get(connection)
        if account is not None and (row.terminal is not None or row.until_ms > now_ms):
            place = (account.provider,)
            cooling[place] = cooling.get(place, 0) + 1
    found.set(
        "omniroute_accounts_cooling", "Accounts that are not used for now.", cooling, "provider"
    )
    found.set(
        "omniroute_journal_waiting",
        "Finished requests that are not in SQL yet.",
        {(): engine.journal.waiting},
    )
    found.set(
        "omniroute_reservations_open",
        "Requests with money set aside: those under way.",
        {(): engine.ledger.open_reservations},
    )
    return found.text()
