"""Fetching public price lists through the gate."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omniroute.catalog.price_documents import SOURCES, PriceDocument, SourceId
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

LONGEST_S = 45.0
_TIMEOUTS = Timeouts(connect_s=10.0, headers_s=30.0, idle_s=30.0)


class ListUnusable(Exception):
    """A price list cannot be had, or is none. One line, fit for whoever asked for it."""


@dataclass(frozen=True, slots=True)
class PriceLists:
    """The lists an operator has chosen, and the way to them.

    `interval_s` is how often each is asked for where that is done by itself, which `enabled` says;
    `urls` replace where they are. `allow_private` lets those be on private addresses; `via` is
    the proxy for an address.
    """

    gate: Sender
    enabled: bool
    sources: tuple[SourceId, ...]
    interval_s: Mapping[SourceId, int]
    urls: Mapping[SourceId, str]
    allow_private: bool
    via: Callable[[str], Via | None] = lambda _url: None

    async def fetch(self, source: SourceId) -> PriceDocument:
        """What a list says now.

        Raises:
            ListUnusable: it did not come, in time or whole, or has no price in it.
        """
        try:
            async with asyncio.timeout(LONGEST_S):
                body = await self._body(source)
            # In a thread: a list is megabytes of JSON.
            document = await asyncio.to_thread(SOURCES[source].read, body)
        except TimeoutError as error:
            raise ListUnusable(f"{source} did not send its price list in time.") from error
        except TransportFailed as error:
            raise ListUnusable(f"The price list of {source} cannot be had: {error}.") from error
        except ValueError as error:
            raise ListUnusable(f"What {source} sent is not a price list.") from error
        if not document.prices:
            raise ListUnusable(f"What {source} sent has no price in it.")
        return document

    async def _body(self, source: SourceId) -> bytes:
        url = self.urls.get(source, SOURCES[source].url)
        request = OutboundRequest(
            url=url,
            headers={"accept": "application/json"},
            method="GET",
            timeouts=_TIMEOUTS,
            allow_private=self.allow_private,
            via=self.via(url),
        )
        response = await self.gate.send(request)
        try:
            if response.status != 200:
                raise ListUnusable(
                    f"{source} answered {response.status} for its price list. Try again later."
                )
            return await response.read()
        finally:
            await response.aclose()
