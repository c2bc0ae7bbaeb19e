"""What a tool's example is, and the small world all of them are called in."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.operations.chats.chat import complete
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.pipeline.exchange import ChatCall

OPERATOR = Caller(door="cli", is_operator=True)
HELLO = {"model": "demo/echo", "messages": [{"role": "user", "content": "hello from mcp"}]}
ROUTED = "routed-before"
"""The id of a request to the combo `pair` that was made before."""


async def nothing_more(_engine: Engine) -> dict[str, Any]:
    """What has to be there for most examples: nothing."""
    return {}


class Example(Struct, frozen=True):
    """Arguments a tool works with, and arguments it fails with and the text it then gives.

    `annotations` are those of 03 §8: R reads only, W writes, D destroys, I may be repeated, O asks
    the outside world. `fails` None: it takes no input that could be wrong. `before` prepares what
    it needs beyond the world and gives further arguments for both calls. `gives` are members of
    the output that are known beforehand.
    """

    annotations: str
    works: dict[str, Any]
    fails: dict[str, Any] | None = None
    text: str = ""
    before: Callable[[Engine], Awaitable[dict[str, Any]]] = nothing_more
    gives: dict[str, Any] = {}


async def populate(engine: Engine) -> None:
    """Combos `pair`, whose first target fails, and `solo`; the first was asked once."""
    for name, models in (("pair", ["demo/flaky-500", "demo/echo"]), ("solo", ["demo/echo"])):
        await create_combo(engine, OPERATOR, ComboInput(name=name, models=[*models]))
    request = ChatRequest(model="pair", messages=(Message("user", (Text("hi"),)),))
    await complete(engine, ChatCall(request_id=ROUTED, caller=OPERATOR, request=request))
