"""Keys of the gateway as routes (02 §8.4)."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post
from omniroute.operations.access import key_texts, keys
from omniroute.operations.access.key_inputs import KeyChange, KeyInput


class Keys(Struct, frozen=True, rename="camel"):
    """A page of keys."""

    keys: list[keys.KeyView]
    total: int
    allow_key_reveal: bool = False


class KeyDeleted(Struct, frozen=True):
    """What was done."""

    message: str


@get("/api/keys", tags=["Keys"], operation_id="list_keys")
async def list_keys(
    engine: TheEngine, operator: Operator, limit: Limit = None, offset: Offset = 0
) -> Keys:
    """A page of gateway keys, masked; all of them without `limit`."""
    rows, total = await keys.list_keys(engine, operator, limit, offset)
    return Keys(rows, total, engine.reveals_keys)


@post("/api/keys", tags=["Keys"], operation_id="create_key")
async def create_key(
    engine: TheEngine, operator: Operator, data: JSONBody[KeyInput]
) -> keys.NewKey:
    """Make a gateway key. This answer is the only place that shows it."""
    return await keys.create_key(engine, operator, data)


@get("/api/keys/{key_id:str}", tags=["Keys"], operation_id="get_key")
async def get_key(engine: TheEngine, operator: Operator, key_id: FromPath[str]) -> keys.KeyView:
    """One gateway key, masked."""
    return await keys.get_key(engine, operator, key_id)


@patch("/api/keys/{key_id:str}", tags=["Keys"], operation_id="change_key")
async def change_key(
    engine: TheEngine, operator: Operator, key_id: FromPath[str], data: JSONBody[KeyChange]
) -> keys.KeyChanged:
    """Change what is named of a gateway key; null takes a limit away."""
    return await keys.change_key(engine, operator, key_id, data)


@post(
    "/api/keys/{key_id:str}/regenerate",
    status_code=200,
    tags=["Keys"],
    operation_id="regenerate_key",
)
async def regenerate_key(
    engine: TheEngine,
    operator: Operator,
    key_id: FromPath[str],
    data: JSONBody[key_texts.Rotation | None] = None,
) -> key_texts.RegeneratedKey:
    """Give a gateway key a new text; the old one stops working at once, or after
    `overlapSeconds` in which both count."""
    return await key_texts.regenerate_key(engine, operator, key_id, data)


@get("/api/keys/{key_id:str}/reveal", tags=["Keys"], operation_id="reveal_key")
async def reveal_key(
    engine: TheEngine, operator: Operator, key_id: FromPath[str]
) -> key_texts.RevealedKey:
    """The text of a gateway key, where ALLOW_API_KEY_REVEAL has it kept."""
    return await key_texts.reveal_key(engine, operator, key_id)


@delete("/api/keys/{key_id:str}", status_code=200, tags=["Keys"], operation_id="delete_key")
async def delete_key(engine: TheEngine, operator: Operator, key_id: FromPath[str]) -> KeyDeleted:
    """Delete a gateway key and its budget; it stops working at once."""
    await keys.delete_key(engine, operator, key_id)
    return KeyDeleted("Key deleted")


KEYS: tuple[HTTPRouteHandler, ...] = (
    list_keys,
    create_key,
    get_key,
    change_key,
    regenerate_key,
    reveal_key,
    delete_key,
)
"""Every route about keys."""
