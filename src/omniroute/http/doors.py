"""What the HTTP routes of one gateway stand on, found in the scope of every request.

So routes are declared once, however many gateways a process opens.
"""

from dataclasses import dataclass

from litestar.types import Scope

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.http.access import Access
from omniroute.operations.chats.background import BackgroundResponses

_DOORS = "doors"


@dataclass(frozen=True, slots=True)
class Doors:
    """One gateway, as its routes see it.

    `heartbeat_s` is the silence after which a stream gets a keep-alive frame; None for never.
    """

    engine: Engine
    access: Access
    background: BackgroundResponses
    heartbeat_s: float | None

    def caller_of(self, scope: Scope) -> Caller:
        """Whoever asks a model API.

        Raises:
            OmniRouteError: they may not.
        """
        return self.access.client(scope, self.engine.snapshot)

    def operator_of(self, scope: Scope) -> Caller:
        """Whoever manages the gateway.

        Raises:
            OmniRouteError: they may not.
        """
        return self.access.operator(scope, self.engine.snapshot)


def enter(scope: Scope, doors: Doors) -> None:
    """Say which gateway a request has come to."""
    scope["state"][_DOORS] = doors


def doors_of(scope: Scope) -> Doors:
    """The gateway a request has come to."""
    doors: Doors = scope["state"][_DOORS]
    return doors
