"""Which providers people can sign in to here, and the endpoints they are asked at."""

from omniroute.catalog.names import did_you_mean
from omniroute.catalog.oauth import OAUTH
from omniroute.catalog.provider import Provider
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotConfigured, NotFound, UpstreamFailed
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.upstream.oauth import OAuthClient, OAuthRefused, TokenEndpoint
from omniroute.upstream.send import TransportFailed


def sign_in_provider(engine: Engine, named: str) -> Provider:
    """A provider or node, by its id or prefix.

    Raises:
        NotFound: there is none.
    """
    snapshot = engine.snapshot
    found = snapshot.provider_named(named)
    if found is None or found == DEMO_ACCOUNT.provider:
        hint = did_you_mean(named, [*OAUTH, *snapshot.providers, *snapshot.prefixes])
        raise NotFound(f"There is no provider '{named}'.{hint}")
    return snapshot.providers[found]


def configured_client(engine: Engine, provider: Provider) -> OAuthClient:
    """The operator's own client at a provider.

    Raises:
        NotConfigured: there is none, or a variable of it cannot be used.
    """
    clients = engine.logins.clients
    try:
        client = clients.of(provider)
    except InvalidRequest as error:
        raise NotConfigured(str(error), extras={"supported": False}) from error
    if client is None:
        wanted = ", ".join(clients.variables(provider))
        raise NotConfigured(
            f"Nobody can sign in to {provider.name} here yet: register an application of your own "
            f"there and set {wanted}.",
            extras={"supported": False},
        )
    return client


def endpoint_of(engine: Engine, client: OAuthClient, url: str | None = None) -> TokenEndpoint:
    """Where a client's provider is asked, through the provider's proxy."""
    way = engine.snapshot.proxying.of_provider(client.provider).to(url or client.token_url)
    return engine.logins.endpoint(client, way)


def provider_failed(client: OAuthClient, error: Exception) -> UpstreamFailed:
    """A failure at a provider, in words that hold no secret."""
    if isinstance(error, OAuthRefused):
        return UpstreamFailed(f"{client.name} answered {error}.")
    if isinstance(error, TransportFailed):
        return UpstreamFailed(f"{client.name} could not be asked: {error}.")
    return UpstreamFailed(f"{client.name} did not answer in time.")
