"""Provider nodes: custom upstreams that speak the OpenAI or the Anthropic dialect."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, ValidationFailed
from omniroute.operations.connections import is_http_url
from omniroute.storage.records import ProviderNode

PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEFAULT_BASES = {
    "openai-compatible": "https://api.openai.com/v1",
    "anthropic-compatible": "https://api.anthropic.com/v1",
}

ApiType = Literal[
    "chat",
    "responses",
    "embeddings",
    "audio-transcriptions",
    "audio-speech",
    "images-generations",
]
Path = Annotated[str, Meta(max_length=500, pattern=r"^(/.*)?$")]


class NodeInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new node (02 §4.10). `api_type` is required for the OpenAI type."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    prefix: Annotated[str, Meta(min_length=1, max_length=200)]
    type: Literal["openai-compatible", "anthropic-compatible"] = "openai-compatible"
    api_type: ApiType | None = None
    base_url: str | None = None
    chat_path: Path = ""
    models_path: Path = ""


class NodeView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node as the management API shows it."""

    id: str
    type: str
    name: str
    prefix: str
    api_type: str | None
    base_url: str
    chat_path: str
    models_path: str
    created_at: str
    updated_at: str


async def list_nodes(engine: Engine, caller: Caller) -> list[NodeView]:
    """All nodes."""
    return [_view(node) for node in engine.snapshot.nodes.values()]


async def get_node(engine: Engine, caller: Caller, node_id: str) -> NodeView:
    """One node.

    Raises:
        NotFound: there is none with this id.
    """
    node = engine.snapshot.nodes.get(node_id)
    if node is None:
        raise NotFound(f"There is no provider node with the id '{node_id}'.")
    return _view(node)


async def create_node(engine: Engine, caller: Caller, new: NodeInput) -> NodeView:
    """Store a node; its prefix names it in model strings at once.

    Raises:
        ValidationFailed: a field is not valid.
        Conflict: the prefix is taken by a provider or another node.
    """
    prefix, name = new.prefix.strip(), new.name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    if not PREFIX.fullmatch(prefix):
        raise ValidationFailed([("prefix", f"must match {PREFIX.pattern}")])
    if new.type == "openai-compatible" and new.api_type is None:
        raise ValidationFailed([("apiType", "is required for an openai-compatible node")])
    base_url = (new.base_url or _DEFAULT_BASES[new.type]).strip().rstrip("/")
    if not is_http_url(base_url):
        raise ValidationFailed([("baseUrl", "must be an http or https URL")])
    kind = f"{new.type}-{new.api_type}" if new.type == "openai-compatible" else new.type
    if new.type == "anthropic-compatible":
        base_url = base_url.removesuffix("/messages")
    now = iso(engine.now_ms())
    node = ProviderNode(
        id=f"{kind}-{engine.new_id()}",
        type=new.type,
        name=name,
        prefix=prefix,
        base_url=base_url,
        api_type=new.api_type if new.type == "openai-compatible" else None,
        chat_path=new.chat_path,
        models_path=new.models_path,
        created_at=now,
        updated_at=now,
    )
    async with engine.configuration.change() as work:
        taken = {row.prefix for row in await work.nodes.list()}
        if prefix in taken or prefix in engine.snapshot.prefixes:
            raise Conflict(f"The prefix '{prefix}' already names a provider or node.")
        await work.nodes.save(node)
    return _view(node)


async def delete_node(engine: Engine, caller: Caller, node_id: str) -> None:
    """Delete a node and all its accounts.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change() as work:
        if not await work.nodes.delete(node_id):
            raise NotFound(f"There is no provider node with the id '{node_id}'.")
        await work.connections.delete_for_provider(node_id)


def _view(node: ProviderNode) -> NodeView:
    return NodeView(
        id=node.id,
        type=node.type,
        name=node.name,
        prefix=node.prefix,
        api_type=node.api_type,
        base_url=node.base_url,
        chat_path=node.chat_path,
        models_path=node.models_path,
        created_at=node.created_at,
        updated_at=node.updated_at,
    )
