"""The request for one candidate: its address, its body, and what shows whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from omniroute.catalog.provider import Provider
from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.adaptation import adapted
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.raw_json import raw, raw_object
from omniroute.pipeline.account_defaults import defaults_of
from omniroute.pipeline.accounts.logins import Logins
from omniroute.pipeline.accounts.slots import Turnstile
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.inlining import inlined
from omniroute.routing.proxying import DIRECT, Route
from omniroute.routing.snapshot import endpoint
from omniroute.routing.targets import Candidate
from omniroute.storage.records.configuration import Compat, Connection, Protocol
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts

_FORWARDED = ("anthropic-version", "anthropic-beta")
_PROTOCOLS: Mapping[Dialect, Protocol] = {
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "openai-responses",
    Dialect.ANTHROPIC: "claude",
}
_AS_USUAL = Compat()
NORMAL_ID_CHARS = 9
"""The shortest ids of tool calls some service insists on; every other takes them, too."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A candidate with everything needed to call it.

    `dialect` is one of those the provider speaks; `fetch` gets what a request only points at;
    `turnstile` is where requests to the account line up. `account` has the key that is sent;
    `key` is its place where there are several, `logins` renews its tokens where people sign in.
    `compat` is what is done otherwise for its model, `route` the way out for it.
    """

    candidate: Candidate
    provider: Provider
    dialect: Dialect
    account: Connection
    sender: Sender
    fetch: Sender
    credentials: Credentials
    allow_private: bool
    turnstile: Turnstile
    key: int | None = None
    compat: Compat = _AS_USUAL
    route: Route = DIRECT
    logins: Logins | None = None

    @property
    def proxy(self) -> str | None:
        """The proxy that is configured for it, without credentials."""
        return self.route.via.proxy.place if self.route.via is not None else None


def outbound(call: ChatCall, to: Endpoint, timeouts: Timeouts, *, stream: bool) -> OutboundRequest:
    """The request for one candidate.

    Raises:
        InvalidRequest: the target's dialect cannot say it, or an account option is missing.
    """
    provider, account, model = to.provider, to.account, to.candidate.model
    codec = CODECS[to.dialect]
    facts = target_facts(provider, account, model, stream=stream, compat=to.compat)
    extended = to.candidate.extended_context or bool(defaults_of(account).get("context1m"))
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        **forwarded(call.headers, provider, extended_context=extended),
        **own_headers(account, to.compat),
    }
    request = adapted(call.request, facts)
    if call.body is not None and call.native(to.dialect) and request is call.request:
        body = codec.patch_request(call.body, facts)
    else:
        body = codec.encode_request(request, facts)
    url = endpoint(provider, account, chat_path(provider, to.dialect, stream=stream), model)
    return OutboundRequest(
        url=url,
        headers=headers,
        body=shaped(body, provider),
        timeouts=timeouts,
        allow_private=to.allow_private,
        via=to.route.to(url),
    )


async def authorized(request: OutboundRequest, to: Endpoint) -> OutboundRequest:
    """The request with the account's credentials.

    Raises:
        InvalidRequest: they are not of the kind the provider takes.
        TransportFailed: a token could not be fetched.
    """
    return await shown_by(to.account, to.provider, to.credentials, request)


async def shown_by(
    account: Connection, provider: Provider, credentials: Credentials, request: OutboundRequest
) -> OutboundRequest:
    """A request with the credentials of an account; raises as `authorized`."""
    return await credentials.authorized(
        provider,
        account.credential,
        account.options,
        request,
        login=account.auth_type == "oauth",
    )


def shaped(body: bytes, provider: Provider) -> bytes:
    """A body as services want it that have model and streaming in the path."""
    if provider.body_model and not provider.body_fields:
        return body
    fields = raw_object(body)
    if not provider.body_model:
        fields.pop("model", None)
        fields.pop("stream", None)
    added = {name: raw(value) for name, value in provider.body_fields.items()}
    return bytes(raw({**added, **fields}))


async def self_contained(call: ChatCall, to: Endpoint) -> ChatCall:
    """The call with everything it points at fetched, where the target cannot fetch it itself.

    Raises:
        InvalidRequest: something could not be fetched.
    """
    if CODECS[to.dialect].carries_addresses or call.native(to.dialect):
        return call
    return replace(call, request=await inlined(call.request, to.fetch, to.route.to))


def chat_path(provider: Provider, dialect: Dialect, *, stream: bool) -> str:
    """Where a provider answers chats of a dialect it speaks."""
    if dialect is not provider.dialect:
        return provider.also[dialect]
    return (provider.stream_path if stream else None) or provider.chat_path


def target_facts(
    provider: Provider,
    account: Connection,
    model: str,
    *,
    stream: bool,
    compat: Compat = _AS_USUAL,
) -> TargetFacts:
    """What an encoder must know about a candidate: its provider's row, its account, its model."""
    keeps, ids = compat.preserve_openai_developer_role, compat.normalize_tool_call_id
    own_ids = provider.call_id_chars
    return TargetFacts(
        model=model,
        stream=stream,
        stream_usage=provider.stream_usage and not account.options.get("disableStreamOptions"),
        max_completion_tokens=_begins(model, provider.completion_limit_prefixes),
        developer_role=provider.developer_role if keeps is None else keeps,
        system_role=not _begins(model, provider.no_system_prefixes),
        fixed_sampling=_begins(model, provider.fixed_sampling_prefixes),
        adaptive_thinking=_begins(model, provider.adaptive_prefixes),
        structured_output=_begins(model, provider.structured_prefixes),
        thinking_levels=_begins(model, provider.thinking_level_prefixes),
        call_id_chars=own_ids if ids is None else (own_ids or NORMAL_ID_CHARS) if ids else None,
        reasoning_history=provider.reasoning_history,
    )


def own_headers(account: Connection, compat: Compat) -> dict[str, str]:
    """Headers an operator wants with the requests of an account, or to a model of it."""
    agent = account.options.get("customUserAgent")
    told = {name.lower(): value for name, value in (compat.upstream_headers or {}).items()}
    return {**({"user-agent": str(agent)} if agent else {}), **told}


def protocol_of(call: ChatCall) -> Protocol | None:
    """What an operator calls the protocol of a call's client."""
    return _PROTOCOLS.get(call.dialect) if call.dialect is not None else None


def _begins(model: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a model is of a family; vendors and regions may stand before its name."""
    name = model.lower().rpartition("/")[2].rpartition("anthropic.")[2]
    return name.startswith(prefixes) if prefixes else False


def tags_thinking(provider: Provider, model: str) -> bool:
    """Whether a model's thinking stands between tags in its text."""
    return _begins(model, provider.think_tag_prefixes)


def forwarded(
    headers: Mapping[str, str], provider: Provider, *, extended_context: bool
) -> dict[str, str]:
    """The client's dialect headers, which mean something only to a service of that dialect."""
    if "anthropic-version" not in provider.headers:
        return {}
    kept = {name: headers[name] for name in _FORWARDED if name in headers}
    if extended_context:
        betas = [kept["anthropic-beta"]] if "anthropic-beta" in kept else []
        kept["anthropic-beta"] = ",".join([*betas, "context-1m-2025-08-07"])
    return kept
