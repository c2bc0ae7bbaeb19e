"""The keys that guard what is stored, as routes. 02 §30."""

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, post
from omniroute.operations.access import encryption
from omniroute.operations.inputs import decode_input

_ENCRYPTION = "/api/settings/encryption"


@get(_ENCRYPTION, tags=["Storage"], operation_id="secrets_status")
async def secrets_status(engine: TheEngine, operator: Operator) -> encryption.SecretsStatus:
    """Which keys are in use, how many values each seals, and what cannot be opened."""
    return await encryption.secrets_status(engine, operator)


@post(f"{_ENCRYPTION}/rotate", status_code=200, tags=["Storage"], operation_id="rotate_storage_key")
async def rotate_storage_key(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> encryption.RotateView:
    """Make a new storage key and seal everything under it; requests go on meanwhile. The body is
    optional: `{"keepOld": true}` keeps the old key to open old backups with."""
    wanted = decode_input(encryption.RotateInput, await request.body() or b"{}")
    return await encryption.rotate_storage_key(engine, operator, wanted)


@post(
    f"{_ENCRYPTION}/rotate-sessions",
    status_code=200,
    tags=["Storage"],
    operation_id="rotate_session_secret",
)
async def rotate_session_secret(engine: TheEngine, operator: Operator) -> encryption.SessionsEnded:
    """End every browser session at once, in all processes on the data directory."""
    return await encryption.rotate_session_secret(engine, operator)


ENCRYPTION: tuple[HTTPRouteHandler, ...] = (
    secrets_status,
    rotate_storage_key,
    rotate_session_secret,
)
"""Every route about the keys that guard what is stored."""
