"""The MCP door over the engine. Importing this loads the MCP SDK."""

from collections.abc import Callable, Mapping
from typing import Any

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.http.access import Access
from omniroute_app.addresses import base_url_of
from omniroute_app.settings import Settings, listed
from omniroute_mcp import door as mcp
from omniroute_mcp.authentication import Guards
from omniroute_mcp.callers import Policy
from omniroute_mcp.http_side import security_settings
from omniroute_mcp.resource_metadata import ResourceMetadata


def mcp_door_of(engine: Engine, access: Access, settings: Settings) -> mcp.McpDoor:
    """The MCP door over the engine."""

    async def operator(scope: Any) -> Caller:
        return access.operator(scope, engine.snapshot)

    return mcp.build(
        engine,
        policy=mcp_policy(settings),
        data_dir=settings.data_dir,
        guards=Guards(
            access.is_local,
            access.address_of,
            security_settings(listed(settings.allowed_hosts), listed(settings.allowed_origins)),
            ResourceMetadata(settings.mcp_issuer_url, base_url_of(engine, settings)),
        ),
        authorize_operator=operator,
        agent_card=agent_card_of(engine, settings),
    )


def agent_card_of(engine: Engine, settings: Settings) -> Callable[[], Mapping[str, Any]]:
    """The card of the A2A door, which is loaded when somebody reads it."""

    def card() -> Mapping[str, Any]:
        from omniroute_app import a2a_side

        return a2a_side.agent_card_of(engine, settings)()

    return card


def mcp_policy(settings: Settings) -> Policy:
    """How MCP calls are checked."""
    return Policy(
        enforce=settings.mcp_enforce_scopes,
        scopes=frozenset(listed(settings.mcp_scopes)),
        stdio_key_id=settings.mcp_key_id,
    )
