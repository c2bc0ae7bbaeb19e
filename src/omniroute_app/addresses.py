"""Where clients reach the gateway."""

from collections.abc import Callable

from omniroute.engine import Engine
from omniroute_app.settings import Settings


def base_url_of(engine: Engine, settings: Settings) -> Callable[[], str]:
    """Where clients reach the gateway, as it stands now."""
    return lambda: engine.snapshot.settings["baseUrl"].rstrip("/") or settings.public_url
