"""Stopping and restarting the gateway, and whether it has begun."""

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.access.audit import note


class Initialized(Struct, frozen=True):
    """Whether the gateway is ready for work."""

    initialized: bool


async def initialized(engine: Engine, caller: Caller) -> Initialized:
    """Whether the configuration is loaded; it is as soon as anything is answered."""
    return Initialized(engine.snapshot.version >= 0)


async def shut_down(engine: Engine, caller: Caller) -> None:
    """Take no new requests, let running ones finish, and end the process.

    Raises:
        Conflict: the process cannot be stopped over its API.
    """
    engine.lifecycle.stop(restart=False)
    await note(engine, caller, "system.shutdown")


async def restart(engine: Engine, caller: Caller) -> None:
    """The same, and start again where a supervisor or OMNIROUTE_SELF_RESTART sees to it.

    Raises:
        Conflict: the process cannot be stopped over its API.
    """
    engine.lifecycle.stop(restart=True)
    await note(engine, caller, "system.restart")
