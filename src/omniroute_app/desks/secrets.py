"""The keys of an installation from outside: on its data directory, or over a gateway's API."""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.access import encryption
from omniroute.operations.access.encryption import RotateInput
from omniroute_app.cli.gateway import Gateway, gateway
from omniroute_app.cli.where import Where
from omniroute_app.runner import run
from omniroute_app.settings import Settings, load_settings
from omniroute_app.wiring import open_engine

ITSELF = Caller(door="cli", credential="cli", is_operator=True)
_PATH = "/api/settings/encryption"


class Desk(Protocol):
    """Who is asked. Answers are those of the management API."""

    def status(self) -> dict[str, Any]:
        """Which keys are in use."""

    def rotate(self, *, keep_old: bool) -> dict[str, Any]:
        """A new storage key; what was done."""

    def rotate_sessions(self) -> dict[str, Any]:
        """A new session secret."""


def desk_of(where: Where) -> Desk:
    """The gateway that is named, or the data directory. A gateway that runs there is no matter:
    it takes new keys over from the files, and whoever may read them needs no other credential."""
    if where.url is not None:
        return GatewayDesk(gateway(where))
    return OwnDesk(load_settings(os.environ, data_dir=where.data_dir, discover=False))


class GatewayDesk:
    """A gateway elsewhere."""

    def __init__(self, asked: Gateway) -> None:
        self._gateway = asked

    def status(self) -> dict[str, Any]:
        """Which keys are in use."""
        return dict(self._gateway.get(_PATH))

    def rotate(self, *, keep_old: bool) -> dict[str, Any]:
        """A new storage key; what was done."""
        return dict(self._gateway.ask("POST", f"{_PATH}/rotate", {"keepOld": keep_old}))

    def rotate_sessions(self) -> dict[str, Any]:
        """A new session secret."""
        return dict(self._gateway.ask("POST", f"{_PATH}/rotate-sessions"))


class OwnDesk:
    """The data directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def status(self) -> dict[str, Any]:
        """Which keys are in use."""
        return self._asked(lambda engine: encryption.secrets_status(engine, ITSELF))

    def rotate(self, *, keep_old: bool) -> dict[str, Any]:
        """A new storage key; what was done."""
        wanted = RotateInput(keep_old=keep_old)
        return self._asked(
            lambda engine: encryption.rotate_storage_key(engine, ITSELF, wanted, _progress)
        )

    def rotate_sessions(self) -> dict[str, Any]:
        """A new session secret."""
        return self._asked(lambda engine: encryption.rotate_session_secret(engine, ITSELF))

    def _asked(self, ask: Callable[[Engine], Awaitable[Any]]) -> dict[str, Any]:
        answers: list[Any] = []

        async def work() -> None:
            async with open_engine(self._settings, os.environ) as engine:
                answers.append(msgspec.to_builtins(await ask(engine)))

        run(work())
        found: dict[str, Any] = answers[0]
        return found


def _progress(line: str) -> None:
    sys.stderr.write(f"  {line}\n")
    sys.stderr.flush()
