"""One question to one search provider: written, sent, read, or failed in a way that is judged."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from omniroute.catalog.provider import Provider
from omniroute.catalog.search_apis import SearchApi
from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.search import SEARCH_CODECS
from omniroute.dialects.search.asked import SearchHit, SearchQuestion
from omniroute.errors import InvalidRequest
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.outbound import own_headers, shown_by
from omniroute.routing.resilience.retry_hints import retry_after_ms
from omniroute.routing.resilience.verdicts import Cause, Failure
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import Compat, Connection
from omniroute.upstream.send import OutboundRequest, OutboundResponse, Timeouts, TransportFailed

MOST_ERROR_CHARS = 300


class SearchFailed(Exception):
    """No results came, not even none; `failure` says why, for the table of verdicts."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Searcher:
    """An account of a search provider, or one it shares. `key` is the place of its key, where it
    has several."""

    provider: Provider
    account: Connection
    key: int | None = None

    @property
    def api(self) -> SearchApi:
        """How it is searched."""
        return api_of(self.provider)

    @property
    def place(self) -> tuple[str, str, str]:
        """Where its health is kept."""
        return self.provider.id, self.account.id, "search"


def api_of(provider: Provider) -> SearchApi:
    """How a search provider is searched."""
    if provider.search is None:
        raise ValueError(f"{provider.id} does not search")
    return provider.search


async def ask(
    through: Asking, to: Searcher, asked: SearchQuestion, seconds: float, now_ms: int
) -> list[SearchHit]:
    """The results of a provider, as many as are wanted at most.

    Raises:
        SearchFailed: it did not answer in `seconds`, refused, or answered something else.
    """
    try:
        async with asyncio.timeout(seconds):
            request = await _request(through, to, asked, seconds)
            sender = through.demo if to.provider.in_process else through.gate
            response = await sender.send(request)
            try:
                body = await response.read()
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise _failed("timeout", 504, f"no answer within {seconds:.0f} s") from error
    except InvalidRequest as error:
        raise _failed("unsupported", 400, str(error)) from error
    except TransportFailed as error:
        status = 504 if error.kind == "timeout" else 502
        raise _failed(error.kind, status, str(error)) from error
    if response.status != 200:
        raise SearchFailed(_refusal(response, body, now_ms))
    return _results(to, asked, body)


def encoded(to: Searcher, asked: SearchQuestion) -> tuple[str, bytes | None]:
    """The address and the body of a question.

    Raises:
        InvalidRequest: an option of the account is missing.
    """
    stored = {name: to.account.options.get(name) for name in to.api.options}
    options = {**{name: one for name, one in stored.items() if one is not None}, **asked.options}
    for name in to.provider.needs:
        if not options.get(name):
            raise InvalidRequest(
                f"Account '{to.account.name}' of {to.provider.name} lacks the option '{name}'. "
                "Set it in its providerSpecificData."
            )
    fields = SEARCH_CODECS[to.api.shape].encode(replace(asked, options=options))
    url = endpoint(to.provider, to.account, to.api.paths[asked.kind])
    if to.api.method == "GET":
        return f"{url}?{urlencode(fields)}", None
    return url, msgspec.json.encode(fields)


async def _request(
    through: Asking, to: Searcher, asked: SearchQuestion, seconds: float
) -> OutboundRequest:
    url, body = encoded(to, asked)
    written = {} if body is None else {"content-type": "application/json"}
    plain = OutboundRequest(
        method=to.api.method,
        url=url,
        headers={
            "accept": "application/json",
            "accept-encoding": "identity",
            **written,
            **own_headers(to.account, Compat()),
        },
        body=body,
        timeouts=Timeouts(connect_s=seconds, headers_s=seconds, idle_s=seconds),
        allow_private=through.allow_private or to.api.self_hosted,
        via=through.route(to.account).to(url),
    )
    return await shown_by(to.account, to.provider, through.credentials, plain)


def _results(to: Searcher, asked: SearchQuestion, body: bytes) -> list[SearchHit]:
    try:
        read: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise _failed("malformed", 502, "the answer is not JSON") from error
    if not isinstance(read, Mapping):
        raise _failed("malformed", 502, "the answer is not a JSON object")
    found = list(SEARCH_CODECS[to.api.shape].decode(read, asked))
    return found[: asked.most]


def _refusal(response: OutboundResponse, body: bytes, now_ms: int) -> Failure:
    status = response.status if response.status >= 400 else 502
    facts = CODECS[Dialect.OPENAI_CHAT].decode_error(status, body)
    return Failure(
        cause="status",
        status=status,
        text=facts.message[:MOST_ERROR_CHARS],
        error_type=facts.type,
        code=facts.code,
        retry_after_ms=retry_after_ms(status, response.headers, facts.message, now_ms, body),
    )


def _failed(cause: Cause, status: int, text: str) -> SearchFailed:
    return SearchFailed(Failure(cause=cause, status=status, text=text))
