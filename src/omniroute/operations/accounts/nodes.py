"""Provider nodes: custom upstreams that speak the OpenAI or the Anthropic dialect."""

import re
from itertools import islice
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, ValidationFailed
from omniroute.operations.access.masking import masked_headers, unmasked_headers
from omniroute.operations.accounts.account_checks import require_answer
from omniroute.operations.accounts.account_options import is_http_url
from omniroute.operations.accounts.connections import node_facts, start_afresh
from omniroute.pipeline.accounts.probe import probe
from omniroute.routing.snapshot import as_provider
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Connection, ProviderNode

PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "te", "upgrade",
     "accept-encoding", "expect", "trailer", "keep-alive", "proxy-authorization"}
)  # fmt: skip

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
    headers: dict[str, str] = {}


class NodeCheck(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node that is tried before it is stored."""

    base_url: Annotated[str, Meta(min_length=1, max_length=2000)]
    api_key: str | None = None
    type: Literal["openai-compatible", "anthropic-compatible"] = "openai-compatible"
    chat_path: Path = ""
    models_path: Path = ""
    headers: dict[str, str] = {}


class NodeVerdict(Struct, frozen=True, kw_only=True):
    """Whether a node answers, and why not."""

    valid: bool
    error: str | None = None
    models: tuple[str, ...] = ()


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
    headers: dict[str, str]
    created_at: str
    updated_at: str


async def list_nodes(
    engine: Engine, caller: Caller, limit: int | None = None, offset: int = 0
) -> tuple[list[NodeView], int]:
    """A page of nodes, and how many there are."""
    nodes = engine.snapshot.nodes
    stop = None if limit is None else offset + limit
    return [_view(node) for node in islice(nodes.values(), offset, stop)], len(nodes)


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
    node = node_of(new, new_node_id(engine, new), iso(engine.now_ms()))
    async with engine.configuration.change(caller, "node.created", node.prefix) as work:
        taken = {row.prefix for row in await work.nodes.list()}
        if node.prefix in taken or node.prefix in engine.snapshot.prefixes:
            raise Conflict(f"The prefix '{node.prefix}' already names a provider or node.")
        await work.nodes.save(node)
    return _view(node)


async def update_node(engine: Engine, caller: Caller, node_id: str, new: NodeInput) -> NodeView:
    """Replace what a node says; its accounts stay, and say of it what it says now.

    Raises:
        NotFound: there is none with this id.
        ValidationFailed: a field is not valid, or the type would change.
        Conflict: the prefix is taken by a provider or another node.
    """
    async with engine.configuration.change(caller, "node.updated", new.prefix) as work:
        old = await work.nodes.get(node_id)
        if old is None:
            raise NotFound(f"There is no provider node with the id '{node_id}'.")
        if new.type != old.type:
            raise ValidationFailed([("type", "cannot change; make another node instead")])
        written = unmasked_headers(new.headers, old.headers)
        new = msgspec.structs.replace(new, headers=written)
        node = msgspec.structs.replace(
            node_of(new, node_id, iso(engine.now_ms())), created_at=old.created_at
        )
        others = {row.prefix for row in await work.nodes.list() if row.id != node_id}
        builtin = node.prefix != old.prefix and node.prefix in engine.snapshot.prefixes
        if node.prefix in others or builtin:
            raise Conflict(f"The prefix '{node.prefix}' already names a provider or node.")
        await work.nodes.save(node)
        await propagate(work, old, node)
    return _view(node)


def new_node_id(engine: Engine, new: NodeInput) -> str:
    """The id of a node that is made now."""
    kind = f"{new.type}-{new.api_type}" if new.type == "openai-compatible" else new.type
    return f"{kind}-{engine.new_id()[:8]}"


async def propagate(work: Work, old: ProviderNode, new: ProviderNode) -> None:
    """Have the accounts of a node say what it says now."""
    for account in await work.connections.of_provider(new.id):
        await work.connections.save(told_of(account, old, new))


def told_of(account: Connection, old: ProviderNode, new: ProviderNode) -> Connection:
    """An account that says of its node what that says now. Its own base URL stays its own."""
    was, facts = node_facts(old), node_facts(new)
    kept = {name: value for name, value in account.options.items() if name not in was}
    own = account.options.get("baseUrl")
    if own not in (None, old.base_url):
        kept["baseUrl"] = own
    options = {**facts, **kept}
    return msgspec.structs.replace(account, options=options, updated_at=new.updated_at)


async def check_node(engine: Engine, caller: Caller, wanted: NodeCheck) -> NodeVerdict:
    """Ask an upstream for its models, as a node would.

    Raises:
        ValidationFailed: a field is not valid.
        InvalidRequest: the address is one the gateway does not call.
    """
    given = NodeInput(
        name="check",
        prefix="check",
        type=wanted.type,
        api_type="chat" if wanted.type == "openai-compatible" else None,
        base_url=wanted.base_url,
        models_path=wanted.models_path,
        headers=wanted.headers,
    )
    node = as_provider(node_of(given, "check", ""))
    account = Connection(id="check", provider="check", name="check", api_key=wanted.api_key)
    found = await probe(engine.quota_desk.through, node, account, None, None)
    if found.kind == "refused" or found.source == "validation":
        await require_answer(engine, caller, node, account, found)
    error = None if found.valid else found.message
    return NodeVerdict(valid=found.valid, error=error, models=found.models)


def node_of(new: NodeInput, node_id: str, now: str) -> ProviderNode:
    """A node as it is stored.

    Raises:
        ValidationFailed: a field is not valid.
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
    if new.type == "anthropic-compatible":
        base_url = base_url.removesuffix("/messages")
    return ProviderNode(
        id=node_id,
        type=new.type,
        name=name,
        prefix=prefix,
        base_url=base_url,
        api_type=new.api_type if new.type == "openai-compatible" else None,
        chat_path=new.chat_path,
        models_path=new.models_path,
        created_at=now,
        updated_at=now,
        headers=_headers(new.headers),
    )


def _headers(given: dict[str, str]) -> dict[str, str]:
    """Header names in lower case.

    Raises:
        ValidationFailed: a name or value cannot stand in a request, or is the gateway's to write.
    """
    headers = {name.strip().lower(): value.strip() for name, value in given.items()}
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise ValidationFailed([(f"headers.{name}", "is not a header")])
        if name in OWN_HEADERS:
            raise ValidationFailed([(f"headers.{name}", "is written by the gateway")])
    return headers


async def delete_node(engine: Engine, caller: Caller, node_id: str) -> None:
    """Delete a node and all its accounts.

    Raises:
        NotFound: there is none with this id.
    """
    async with engine.configuration.change(caller, "node.deleted", node_id) as work:
        if not await work.nodes.delete(node_id):
            raise NotFound(f"There is no provider node with the id '{node_id}'.")
        gone = [row.id for row in await work.connections.of_provider(node_id)]
        await work.connections.delete_for_provider(node_id)
    start_afresh(engine, gone)


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
        headers=masked_headers(node.headers),
        created_at=node.created_at,
        updated_at=node.updated_at,
    )
