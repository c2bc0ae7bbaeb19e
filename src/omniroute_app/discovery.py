"""What can be used without any configuration: keys in the environment, servers on this machine."""

import asyncio
import uuid
from collections.abc import Mapping

from omniroute.catalog.listing import listed_models
from omniroute.catalog.provider import Provider
from omniroute.catalog.providers import PROVIDERS
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

PROBE_TIMEOUT_S = 0.4
_NAMESPACE = uuid.UUID("5f7f1c0e-3f0b-4f0e-9a53-2f1d6b0c9e11")


def accounts_from_environment(environ: Mapping[str, str]) -> list[Connection]:
    """One account for each provider whose usual key variable is set.

    Providers that need more than a key (a resource name, an account id) take part when their
    needs are in the environment or have defaults; others are configured over the API.
    """
    found = []
    for row in PROVIDERS.values():
        variable = next((name for name in row.env if environ.get(name, "").strip()), None)
        options = _options(row, environ)
        if variable is not None and set(row.needs) <= {*row.defaults, *options}:
            found.append(
                Connection(
                    id=_id(f"{row.id}:{variable}"),
                    provider=row.id,
                    name=f"${variable}",
                    api_key=environ[variable].strip(),
                    test_status="unknown",
                    options={"source": "environment", **options},
                )
            )
    return found


def _options(row: Provider, environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for option, variables in row.env_options.items():
        value = next((environ[name] for name in variables if environ.get(name, "").strip()), None)
        if value is not None:
            found[option] = value.strip().rstrip("/")
    return found


async def local_servers(sender: Sender) -> list[Connection]:
    """One account for each model server that answers on its usual port, with its models."""
    by_port = {row.probe_port: row for row in reversed([*PROVIDERS.values()])}
    # Of several that share a port, the first is the likeliest; nobody can tell them apart.
    rows = [row for port, row in by_port.items() if port is not None]
    found = await asyncio.gather(*(_probe(sender, row) for row in rows))
    return [connection for connection in found if connection is not None]


async def _probe(sender: Sender, row: Provider) -> Connection | None:
    request = OutboundRequest(
        method="GET",
        url=row.base_url + row.models_path,
        headers={"accept": "application/json"},
        timeouts=Timeouts(
            connect_s=PROBE_TIMEOUT_S, headers_s=PROBE_TIMEOUT_S, idle_s=PROBE_TIMEOUT_S
        ),
        allow_private=True,
    )
    try:
        response = await sender.send(request)
        try:
            body = await response.read()
        finally:
            await response.aclose()
        models, _ = listed_models(body)
    except (TransportFailed, ValueError):
        return None
    if response.status != 200 or not models:
        return None
    return Connection(
        id=_id(f"{row.id}:{row.probe_port}"),
        provider=row.id,
        name=f"{row.name} on port {row.probe_port}",
        auth_type="none",
        test_status="active",
        options={"source": "local server", "models": list(models)},
    )


def _id(seed: str) -> str:
    # The same thing found again is the same account, so its health and history stay with it.
    return str(uuid.uuid5(_NAMESPACE, seed))
