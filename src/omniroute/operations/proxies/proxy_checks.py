"""Whether proxies work: a test on request, and what came of real requests. 02 §10.3, §23.3."""

import asyncio
import time
from ipaddress import ip_address

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.proxies.proxies import known_proxy
from omniroute.operations.proxies.proxy_inputs import (
    MASK,
    Credential,
    Host,
    LayerInput,
    Port,
    read_layer,
)
from omniroute.storage.records.proxies import LayeredProxy, Proxy, ProxyCounts
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Timeouts, TransportFailed

LONGEST_S = 10.0
TIMEOUTS = Timeouts(connect_s=LONGEST_S, headers_s=LONGEST_S, idle_s=LONGEST_S)
DEFAULT_HOURS, MOST_HOURS = 24, 720
_MS_PER_HOUR = 3_600_000


class TestedProxy(Struct, frozen=True, kw_only=True):
    """A proxy to test; what is left out comes from the registry where a `proxyId` is named."""

    __test__ = False

    type: str | None = None
    host: Host | None = None
    port: Port | None = None
    username: Credential = ""
    password: Credential = ""


class ProxyTestInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A proxy to test, of the registry or not."""

    proxy: TestedProxy = TestedProxy()
    proxy_id: str | None = None


class ProxyTest(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the test found: the address others see, or why there is none."""

    success: bool
    public_ip: str | None = None
    error: str | None = None
    latency_ms: int
    proxy_url: str


class ProxyHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a proxy's requests. `success_rate` is a percentage, null without requests."""

    proxy_id: str
    name: str
    type: str
    host: str
    port: int
    total_requests: int
    success_count: int
    error_count: int
    timeout_count: int
    success_rate: float | None
    avg_latency_ms: int | None
    last_seen_at: str | None


class ProxiesHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """Every registered proxy, over the last hours."""

    items: list[ProxyHealth]
    total: int
    window_hours: int


async def check_proxy(engine: Engine, caller: Caller, given: ProxyTestInput) -> ProxyTest:
    """Ask through a proxy which address others see.

    Raises:
        NotFound: `proxy_id` names no proxy.
        ValidationFailed: the proxy is not fully described, or cannot be one.
    """
    layer = _described(engine, given)
    proxying = engine.snapshot.proxying
    proxy = proxying.outbound_proxy(layer)
    via = Via(proxy=proxy, level="test", proxy_id=given.proxy_id, passing=True)
    began = time.perf_counter()
    address, error = await _seen_as(engine, via)
    scheme, _, place = proxy.place.partition("://")
    return ProxyTest(
        success=address is not None,
        public_ip=address,
        error=error,
        latency_ms=round((time.perf_counter() - began) * 1000),
        proxy_url=f"{scheme}://{MASK}@{place}" if layer.username else proxy.place,
    )


async def proxies_health(engine: Engine, caller: Caller, hours: int) -> ProxiesHealth:
    """What came of requests through each registered proxy in the last `hours` (1 to 720)."""
    hours = min(max(hours, 1), MOST_HOURS)
    async with engine.database.reading() as work:
        counts = await work.proxy_logs.counts(engine.now_ms() - hours * _MS_PER_HOUR)
    rows = engine.snapshot.proxying.outbound.proxies
    items = [_health(row, counts.get(row.id, ProxyCounts())) for row in rows]
    return ProxiesHealth(items=items, total=len(items), window_hours=hours)


def _described(engine: Engine, given: ProxyTestInput) -> LayeredProxy:
    said = given.proxy
    stored = known_proxy(engine, given.proxy_id) if given.proxy_id is not None else None
    kind = said.type or (stored.type if stored else "http")
    host = said.host or (stored.host if stored else None)
    port = said.port or (stored.port if stored else None)
    if host is None or port is None:
        missing = [name for name, value in (("host", host), ("port", port)) if value is None]
        raise ValidationFailed([(f"proxy.{name}", "is required") for name in missing])
    blank = MASK if stored is not None else ""
    layer = LayerInput(
        type=kind,
        host=host,
        port=port,
        username=said.username or blank,
        password=said.password or blank,
    )
    return read_layer(engine, layer, stored, "proxy.")


async def _seen_as(engine: Engine, via: Via) -> tuple[str | None, str | None]:
    request = OutboundRequest(
        method="GET",
        url=engine.proxy_test_url,
        headers={"accept": "application/json, text/plain"},
        timeouts=TIMEOUTS,
        allow_private=engine.chat.allow_private,
        via=via,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            response = await engine.chat.gate.send(request)
            try:
                body = await response.read()
            finally:
                await response.aclose()
    except TimeoutError:
        return None, f"No answer came through the proxy within {LONGEST_S:.0f} s."
    except TransportFailed as error:
        return None, f"{error}."
    if response.status != 200:
        return None, f"The page that tells addresses answered with status {response.status}."
    address = _address_in(body)
    return address, None if address else "The page that tells addresses named none."


def _address_in(body: bytes) -> str | None:
    """The address in `{"ip": "..."}`, or in a page that is nothing else."""
    try:
        said = msgspec.json.decode(body)
        text = str(said.get("ip") or said.get("origin")) if isinstance(said, dict) else str(said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:100].decode("ascii", "replace")
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None


def _health(row: Proxy, counts: ProxyCounts) -> ProxyHealth:
    rate = 100 * counts.successes / counts.requests if counts.requests else None
    average, last = counts.avg_latency_ms, counts.last_seen_ms
    return ProxyHealth(
        proxy_id=row.id,
        name=row.name,
        type=row.type,
        host=row.host,
        port=row.port,
        total_requests=counts.requests,
        success_count=counts.successes,
        error_count=counts.errors,
        timeout_count=counts.timeouts,
        success_rate=None if rate is None else round(rate, 2),
        avg_latency_ms=None if average is None else round(average),
        last_seen_at=None if last is None else iso(last),
    )
