"""One cheap question to a provider: does it take this credential? What went wrong, as a table."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from msgspec.structs import replace

from omniroute.catalog.listing import listed_models
from omniroute.catalog.provider import Provider
from omniroute.chat import ChatRequest, Message, Text
from omniroute.dialects import CODECS
from omniroute.dialects.search.asked import SearchQuestion
from omniroute.errors import InvalidRequest
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.outbound import chat_path, own_headers, shaped, shown_by, target_facts
from omniroute.pipeline.search.asking import Searcher, SearchFailed, ask
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import Compat, Connection
from omniroute.upstream.send import FailureKind, OutboundRequest, Timeouts, TransportFailed

SEARCH_S = 20.0
TIMEOUTS = Timeouts(connect_s=10.0, headers_s=25.0, idle_s=20.0)
MOST_MESSAGE = 500

Diagnosis: TypeAlias = Literal[
    "ok",
    "auth_missing",
    "unsupported",
    "token_refresh_failed",
    "token_expired",
    "upstream_auth_error",
    "upstream_rate_limited",
    "upstream_unavailable",
    "network_error",
    "validation_error",
    "upstream_error",
]
Source: TypeAlias = Literal["local", "oauth", "upstream", "validation"]
Method: TypeAlias = Literal["models", "chat", "key", "search"]


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a probe. `status` is the upstream's, None where it gave none.

    `warning` says what is odd though the credential is good; `models` are those it listed.
    `kind` is why there was no answer.
    """

    diagnosis: Diagnosis
    source: Source = "upstream"
    message: str = ""
    status: int | None = None
    method: Method | None = None
    warning: str | None = None
    models: tuple[str, ...] = ()
    kind: FailureKind | None = None

    @property
    def valid(self) -> bool:
        """Whether the credential was taken."""
        return self.diagnosis == "ok"

    @property
    def code(self) -> str | None:
        """The status as text, or what stands for one."""
        if self.status is not None:
            return str(self.status)
        return None if self.valid else self.diagnosis


def _words(text: str) -> Callable[[int, str], bool]:
    pattern = re.compile(text, re.IGNORECASE)
    return lambda _status, message: pattern.search(message) is not None


DIAGNOSES: tuple[tuple[Callable[[int, str], bool], Diagnosis], ...] = (
    (lambda status, _message: status in (401, 403), "upstream_auth_error"),
    (lambda status, _message: status == 429, "upstream_rate_limited"),
    (lambda status, _message: status == 408 or status >= 500, "upstream_unavailable"),
    (
        _words(
            r"api[ _-]?key|unauthori[sz]ed|unauthenticated|authenticat|permission denied"
            r"|(invalid|bad|expired|revoked)[^.]{0,20}(token|credential)"
        ),
        "upstream_auth_error",
    ),
    (_words(r"rate[ _-]?limit|too many requests|quota"), "upstream_rate_limited"),
    (_words(r"unavailable|overloaded|timed? ?out|maintenance"), "upstream_unavailable"),
)
"""What a refusal means, by its status and else by its words; first match wins. 02 §4.6."""

_NO_LIST = frozenset({404, 405, 501})
"""Statuses of services that give no list of models."""

_ASIDE = frozenset({400, 404, 422})
"""Statuses of a chat that was refused for what it asked, by a service that knew who asked."""

_SEARCH_CAUSES: Mapping[str, tuple[Diagnosis, Source]] = {
    "malformed": ("upstream_error", "upstream"),
    "unsupported": ("validation_error", "validation"),
    "refused": ("validation_error", "validation"),
    "invalid": ("validation_error", "validation"),
}
_KINDS: Mapping[str, FailureKind] = {one: one for one in get_args(FailureKind)}

_TRANSPORT: Mapping[str, tuple[Diagnosis, Source]] = {
    "refused": ("validation_error", "validation"),
    "invalid": ("validation_error", "validation"),
}


def diagnosed(status: int, message: str) -> Diagnosis:
    """What a refusal means."""
    return next((kind for fits, kind in DIAGNOSES if fits(status, message)), "upstream_error")


async def probe(
    through: Asking, provider: Provider, account: Connection, usual: str | None, asked: str | None
) -> Probed:
    """Ask as cheaply as the provider's row allows.

    Args:
        usual: a model to ask one token of, where listing models proves nothing.
        asked: a model to ask one token of in any case.
    """
    if not (account.credential or provider.keyless):
        told = "The account has no credential, or it cannot be decrypted."
        return Probed("auth_missing", "local", told)
    if provider.search is not None:
        return await _search(through, provider, account)
    try:
        if asked is not None:
            return await _chat(through, provider, account, asked)
        if provider.check.startswith("/"):
            return await _get(through, provider, account, provider.check, "key")
        if provider.check == "models":
            found = await _get(through, provider, account, provider.models_path, "models")
            if found.valid or found.status not in _NO_LIST:
                return found
        if usual is not None:
            return await _chat(through, provider, account, usual)
    except InvalidRequest as error:
        return Probed("validation_error", "validation", str(error))
    except TransportFailed as error:
        kind, source = _TRANSPORT.get(error.kind, ("network_error", "upstream"))
        return Probed(kind, source, str(error), kind=error.kind)
    told = f"{provider.name} lists no models; name one with 'validationModelId'."
    return Probed("unsupported", "local", told)


async def _search(through: Asking, provider: Provider, account: Connection) -> Probed:
    """One search for one result: these services have nothing cheaper that wants a key."""
    asked = SearchQuestion(query="test", most=1)
    try:
        await ask(through, Searcher(provider, account), asked, SEARCH_S, 0)
    except SearchFailed as failed:
        told = failed.failure
        if told.cause == "status":
            return Probed(
                diagnosed(told.status, told.text), "upstream", told.text, told.status, "search"
            )
        diagnosis, source = _SEARCH_CAUSES.get(told.cause, ("network_error", "upstream"))
        kind = _KINDS.get(told.cause)
        return Probed(diagnosis, source, told.text, method="search", kind=kind)
    return Probed("ok", status=200, method="search")


async def _get(
    through: Asking, provider: Provider, account: Connection, path: str, method: Method
) -> Probed:
    url = endpoint(provider, account, path)
    request = OutboundRequest(
        method="GET",
        url=url,
        via=through.route(account).to(url),
        headers={"accept": "application/json", **own_headers(account, Compat())},
        timeouts=TIMEOUTS,
        allow_private=through.allow_private or provider.probe_port is not None,
    )
    status, body = await _answer(through, provider, account, request)
    if status != 200:
        return _refused(provider, status, body, method)
    if method != "models":
        return Probed("ok", status=status, method=method)
    try:
        models, _ = listed_models(body)
    except ValueError:
        told = f"{provider.name} answered something else than a list of models."
        return Probed("upstream_error", "upstream", told, status, method)
    return Probed("ok", status=status, method=method, models=models)


async def _chat(through: Asking, provider: Provider, account: Connection, model: str) -> Probed:
    codec = CODECS[provider.dialect]
    asked = ChatRequest(model, (Message("user", (Text("Hi"),)),), max_output_tokens=1)
    facts = target_facts(provider, account, model, stream=False)
    path = chat_path(provider, provider.dialect, stream=False)
    url = endpoint(provider, account, path, model)
    request = OutboundRequest(
        url=url,
        via=through.route(account).to(url),
        headers={
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            **own_headers(account, Compat()),
        },
        body=shaped(codec.encode_request(asked, facts), provider),
        timeouts=TIMEOUTS,
        allow_private=through.allow_private or provider.probe_port is not None,
    )
    status, body = await _answer(through, provider, account, request)
    if status == 200:
        return Probed("ok", status=status, method="chat")
    refused = _refused(provider, status, body, "chat")
    if status in _ASIDE and refused.diagnosis == "upstream_error":
        warning = f"The credential was taken, the question was not: {refused.message}"
        return Probed("ok", status=status, method="chat", warning=warning[:MOST_MESSAGE])
    return refused


async def _answer(
    through: Asking, provider: Provider, account: Connection, request: OutboundRequest
) -> tuple[int, bytes]:
    request = replace(request, via=through.route(account).to(request.url))
    request = await shown_by(account, provider, through.credentials, request)
    response = await (through.demo if provider.in_process else through.gate).send(request)
    try:
        return response.status, await response.read()
    finally:
        await response.aclose()


def _refused(provider: Provider, status: int, body: bytes, method: Method) -> Probed:
    told = CODECS[provider.dialect].decode_error(status, body).message[:MOST_MESSAGE]
    return Probed(diagnosed(status, told), "upstream", told, status, method)
