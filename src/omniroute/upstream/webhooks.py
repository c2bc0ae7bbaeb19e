"""Signed messages to addresses that others named, through the outbound gate.

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com), so that receivers
check them with a library of their language.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from omniroute.upstream.addresses import host_refusal
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

TIMEOUT_S = 10.0
NEVER_AGAIN = frozenset({"refused", "invalid", "proxy_off"})
"""Kinds of failure that another try will not change."""
GONE = 410


class WebhookFailed(Exception):
    """The receiver did not take the message. One line without addresses or secrets.

    Args:
        final: whether another try is pointless.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def webhook_problem(url: str, *, allow_private: bool) -> str | None:
    """Why no messages are sent to an address, as far as it tells by itself; None where they are.

    What its name resolves to is looked at for every connection.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with http:// or https://"
    return host_refusal(parts.hostname, allow_private=allow_private)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The way to receivers. `secret` begins with `whsec_`; `via` is the proxy for an address."""

    gate: Sender
    secret: str
    via: Callable[[str], Via | None] = lambda _url: None

    async def post(
        self,
        url: str,
        body: str,
        *,
        message_id: str,
        now_ms: int,
        headers: Mapping[str, str],
        allow_private: bool,
    ) -> None:
        """Send a JSON message; `message_id` is the same in every attempt.

        Raises:
            WebhookFailed: it was not answered with 2xx.
        """
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        request = OutboundRequest(
            url=url,
            headers={
                **headers,
                "content-type": "application/json",
                "accept-encoding": "identity",
                "webhook-id": message_id,
                "webhook-timestamp": str(now_ms // 1000),
                "webhook-signature": Webhook(self.secret).sign(message_id, moment, body),
            },
            body=body.encode(),
            timeouts=Timeouts(connect_s=TIMEOUT_S, headers_s=TIMEOUT_S, idle_s=TIMEOUT_S),
            allow_private=allow_private,
            via=self.via(url),
        )
        status = await self._status(request)
        if not 200 <= status < 300:
            raise WebhookFailed(f"The receiver answered {status}.", final=status == GONE)

    async def _status(self, request: OutboundRequest) -> int:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self.gate.send(request)
                await response.aclose()  # what it says is not read
        except TimeoutError as error:
            raise WebhookFailed("The receiver did not answer in time.") from error
        except TransportFailed as error:
            final = error.kind in NEVER_AGAIN
            raise WebhookFailed(f"Not delivered: {error}.", final=final) from error
        return response.status
