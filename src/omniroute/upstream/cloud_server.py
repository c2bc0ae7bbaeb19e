"""A server of the operator's own that is given the configuration. Source: 02 §16.1."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from omniroute.dialects.redaction import clean_message
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

VERIFY_TIMEOUT_S = 5.0
MOST_TOLD = 300


class CloudFailed(Exception):
    """The server cannot be reached or says no. One line, fit for whoever manages the gateway."""


def address_problem(url: str) -> str | None:
    """Why the configuration is not sent to an address; None where it may be.

    Keys and tokens travel in it: TLS, or a server on this machine.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a valid URL"
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        return "must be a URL such as https://cloud.example.com, without credentials or a query"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return None
    return "must begin with https:// (http:// is for this machine only)"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class CloudServer:
    """The way to the server.

    `default_url` is where it is unless a setting says, empty for nowhere. `machine_id` is this
    gateway's name there. `timeout_s` is how long a push may take. `allow_private` lets it be on
    a private address; `via` is the proxy for an address.
    """

    gate: Sender
    default_url: str
    machine_id: str
    timeout_s: float
    allow_private: bool
    via: Callable[[str], Via | None] = lambda _url: None

    async def push(self, url: str, key: str, body: bytes) -> Mapping[str, Any]:
        """Give it the configuration; what it answers.

        Raises:
            CloudFailed: it did not take it.
        """
        path = f"{url}/sync/{self.machine_id}"
        answer = await self._answer("POST", path, key, self.timeout_s, body)
        try:
            told = msgspec.json.decode(answer or b"{}")
        except (ValueError, RecursionError) as error:
            raise CloudFailed("What the cloud answered is not JSON.") from error
        if not isinstance(told, dict):
            raise CloudFailed("What the cloud answered is not a JSON object.")
        return told

    async def verify(self, url: str, key: str) -> None:
        """Whether it knows this gateway and the key.

        Raises:
            CloudFailed: it does not, or cannot be asked.
        """
        await self._answer("GET", f"{url}/{self.machine_id}/v1/verify", key, VERIFY_TIMEOUT_S)

    async def forget(self, url: str, key: str | None) -> None:
        """Have it delete what it was given. That it has nothing is fine, too.

        Raises:
            CloudFailed: it did not.
        """
        path = f"{url}/sync/{self.machine_id}"
        await self._answer("DELETE", path, key, self.timeout_s, missing_ok=True)

    async def _answer(
        self,
        method: Literal["GET", "POST", "DELETE"],
        url: str,
        key: str | None,
        timeout_s: float,
        body: bytes | None = None,
        *,
        missing_ok: bool = False,
    ) -> bytes:
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if body is not None:
            headers["content-type"] = "application/json"
        request = OutboundRequest(
            url=url,
            headers=headers,
            method=method,
            body=body,
            timeouts=Timeouts(connect_s=timeout_s, headers_s=timeout_s, idle_s=timeout_s),
            allow_private=self.allow_private,
            via=self.via(url),
        )
        try:
            async with asyncio.timeout(timeout_s):
                response = await self.gate.send(request)
                try:
                    data = await response.read()
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise CloudFailed("The cloud did not answer in time.") from error
        except TransportFailed as error:
            raise CloudFailed(f"The cloud cannot be reached: {error}.") from error
        if 200 <= response.status < 300 or (missing_ok and response.status == 404):
            return data
        raise CloudFailed(_refusal(response.status, data, key))


def _refusal(status: int, data: bytes, key: str | None) -> str:
    """What it says about its no, without the key it was sent."""
    try:
        told = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        told = None
    error: Any = told.get("error") if isinstance(told, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    said = f"The cloud answered {status}"
    if not isinstance(error, str) or not error.strip():
        return f"{said}."
    text = error.replace(key, "[redacted]") if key else error
    return f"{said}: {clean_message(text)[:MOST_TOLD]}"
