"""One question to a provider: what is left of an account."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from omniroute.catalog.provider import Provider
from omniroute.catalog.quota_report import QuotaReport
from omniroute.catalog.quota_shapes import Shape, read_report
from omniroute.dialects import CODECS
from omniroute.errors import UpstreamFailed
from omniroute.pipeline.accounts.logins import LoginFailed, Logins
from omniroute.pipeline.outbound import shown_by
from omniroute.routing.proxying import DIRECT, Route
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

TIMEOUTS = Timeouts(connect_s=5.0, headers_s=10.0, idle_s=10.0)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a question goes out through. `allow_private` as for chats; `route` is the way out for
    an account, `logins` renews its tokens where people sign in."""

    gate: Sender
    demo: Sender
    credentials: Credentials
    allow_private: bool
    route: Callable[[Connection], Route] = lambda _account: DIRECT
    logins: Logins | None = None


async def ask(
    through: Asking, provider: Provider, account: Connection, shape: Shape, now_ms: int
) -> QuotaReport:
    """What an account's provider says is left of it.

    Args:
        now_ms: epoch milliseconds; some answers name their reset by a word.

    Raises:
        UpstreamFailed: it does not answer (500), refuses the credentials (401), or answers
            something else (500).
        InvalidRequest: an option of the account is missing.
    """
    url = address(provider, account)
    request = OutboundRequest(
        method="GET",
        url=url,
        headers={"accept": "application/json", "accept-encoding": "identity"},
        timeouts=TIMEOUTS,
        allow_private=through.allow_private or provider.probe_port is not None,
        via=through.route(account).to(url),
    )
    try:
        if _same_origin(request.url, endpoint(provider, account, "")):
            if through.logins is not None:
                account = await through.logins.fresh(account)
            request = await shown_by(account, provider, through.credentials, request)
        response = await (through.demo if provider.in_process else through.gate).send(request)
        try:
            body = await response.read()
        finally:
            await response.aclose()
    except LoginFailed as error:
        raise UpstreamFailed(str(error), status=401 if error.kind == "ended" else 500) from error
    except TransportFailed as error:
        raise UpstreamFailed(
            f"{provider.name} could not be asked what is left: {error}.", status=500
        ) from error
    if response.status != 200:
        told = CODECS[provider.dialect].decode_error(response.status, body).message
        raise UpstreamFailed(
            f"{provider.name} does not say what is left (status {response.status}): {told}",
            status=401 if response.status in (401, 403) else 500,
        )
    try:
        return read_report(shape, body, now_ms)
    except ValueError as error:
        raise UpstreamFailed(
            f"{provider.name} answered something else than what is left.", status=500
        ) from error


def address(provider: Provider, account: Connection) -> str:
    """Where an account's usage is asked for: as its options say, else as its provider's row does.

    Raises:
        InvalidRequest: a field of the address has no value.
    """
    url, path = account.options.get("quotaUrl"), account.options.get("quotaPath")
    if url:
        return str(url)
    base = endpoint(provider, account, "")
    if path:
        return f"{base}{path}"
    row = provider.quota
    told = row.path if row is not None else ""
    if not told.startswith("/"):
        return f"{base}/{told}"
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}{told}"


def _same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of one service: only then does one get the other's key."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)
