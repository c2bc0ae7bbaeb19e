"""What is known of providers' OAuth: facts as rows. Client ids are never among them. 02 §5."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

OAuthFlow: TypeAlias = Literal["authorization_code_pkce", "authorization_code", "device_code"]


class OAuthFacts(Struct, frozen=True, kw_only=True):
    """How one provider lets people sign in. Every fact can be overridden by a variable.

    Addresses are paths under `base_url`, which `base_variable` replaces; `api_path` makes the
    address of the provider's API of it, for services people run themselves. `client_ids` are
    further variables that may hold the client id. `personal_tokens` says that the provider
    documents long-lived tokens that people make by themselves.
    """

    provider: str
    source: str = ""
    base_url: str = ""
    base_variable: str | None = None
    api_path: str = ""
    authorize_path: str | None = None
    token_path: str | None = None
    device_code_path: str | None = None
    userinfo_path: str | None = None
    scopes: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    personal_tokens: bool = False


OAUTH: Mapping[str, OAuthFacts] = {
    row.provider: row
    for row in (
        OAuthFacts(
            provider="gitlab-duo",
            source="https://docs.gitlab.com/api/oauth2",
            base_url="https://gitlab.com",
            base_variable="GITLAB_DUO_BASE_URL",
            api_path="/api/v4",
            authorize_path="/oauth/authorize",
            token_path="/oauth/token",  # noqa: S106 - an address
            device_code_path="/oauth/authorize_device",
            userinfo_path="/api/v4/user",  # takes personal tokens, too; /oauth/userinfo does not
            scopes=("api", "read_user", "openid", "profile", "email"),
            client_ids=("GITLAB_OAUTH_CLIENT_ID",),
            personal_tokens=True,
        ),
    )
}
"""The providers something is known of; of all others the operator says everything."""
