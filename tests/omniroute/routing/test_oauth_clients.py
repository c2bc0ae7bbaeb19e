"""What variables of the environment make of a provider's sign-in, as tables."""

from typing import Any

import pytest

from omniroute.catalog.provider import Provider
from omniroute.catalog.providers import PROVIDERS
from omniroute.errors import InvalidRequest
from omniroute.routing.oauth_clients import OAuthClients

NODE = Provider(
    id="openai-compatible-chat-1", name="Corp", alias="my-corp", base_url="http://x", source=""
)
GITLAB = PROVIDERS["gitlab-duo"]
CORP = {
    "MY_CORP_OAUTH_CLIENT_ID": "id",
    "MY_CORP_OAUTH_AUTHORIZE_URL": "https://a.example/authorize",
    "MY_CORP_OAUTH_TOKEN_URL": "https://a.example/token",
}

MADE: dict[str, tuple[Provider, dict[str, str], dict[str, Any]]] = {
    "gitlab needs an id alone": (
        GITLAB,
        {"GITLAB_DUO_OAUTH_CLIENT_ID": "id"},
        {
            "client_id": "id",
            "client_secret": None,
            "token_url": "https://gitlab.com/oauth/token",
            "scopes": ("api", "read_user", "openid", "profile", "email"),
            "flow": "authorization_code_pkce",
            "account_options": {},
        },
    ),
    "the older name of its id": (GITLAB, {"GITLAB_OAUTH_CLIENT_ID": "id"}, {"client_id": "id"}),
    "an instance of one's own": (
        GITLAB,
        {"GITLAB_DUO_OAUTH_CLIENT_ID": "id", "GITLAB_DUO_BASE_URL": "https://git.example/"},
        {
            "authorize_url": "https://git.example/oauth/authorize",
            "account_options": {"baseUrl": "https://git.example/api/v4"},
        },
    ),
    "a node by its prefix": (
        NODE,
        {**CORP, "MY_CORP_OAUTH_SCOPES": " a  b "},
        {"provider": NODE.id, "scopes": ("a", "b"), "userinfo_url": None},
    ),
    "a device": (
        NODE,
        {
            "MY_CORP_OAUTH_CLIENT_ID": "id",
            "MY_CORP_OAUTH_FLOW": "device_code",
            "MY_CORP_OAUTH_DEVICE_CODE_URL": "https://a.example/device",
            "MY_CORP_OAUTH_TOKEN_URL": "https://a.example/token",
        },
        {"flow": "device_code", "device_code_url": "https://a.example/device"},
    ),
}


@pytest.mark.parametrize(("provider", "environ", "expected"), MADE.values(), ids=MADE)
def test_clients(provider: Provider, environ: dict[str, str], expected: dict[str, Any]) -> None:
    client = OAuthClients(environ).of(provider)
    assert {name: getattr(client, name) for name in expected} == expected


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "an unknown flow": ({"FLOW": "implicit"}, "MY_CORP_OAUTH_FLOW"),
    "no address": ({"TOKEN_URL": ""}, "MY_CORP_OAUTH_TOKEN_URL"),
    "no web address": ({"TOKEN_URL": "file:///etc/passwd"}, "MY_CORP_OAUTH_TOKEN_URL"),
    "a name and password": ({"TOKEN_URL": "https://u:p@a/token"}, "MY_CORP_OAUTH_TOKEN_URL"),
    "a broken address": ({"AUTHORIZE_URL": "https://[a"}, "MY_CORP_OAUTH_AUTHORIZE_URL"),
    "no port": ({"CALLBACK_PORT": "70000"}, "MY_CORP_OAUTH_CALLBACK_PORT"),
    "a device without address": ({"FLOW": "device_code"}, "MY_CORP_OAUTH_DEVICE_CODE_URL"),
}


@pytest.mark.parametrize(("parts", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_named(parts: dict[str, str], named: str) -> None:
    environ = {**CORP, **{f"MY_CORP_OAUTH_{part}": value for part, value in parts.items()}}
    with pytest.raises(InvalidRequest, match=named):
        OAuthClients(environ).of(NODE)


def test_without_an_id_there_is_no_client() -> None:
    clients = OAuthClients({"MY_CORP_OAUTH_SCOPES": "a"})
    assert clients.of(NODE) is None
    assert clients.variables(NODE) == (
        "MY_CORP_OAUTH_CLIENT_ID",
        "MY_CORP_OAUTH_AUTHORIZE_URL",
        "MY_CORP_OAUTH_TOKEN_URL",
    )
    assert OAuthClients({}).variables(GITLAB) == ("GITLAB_DUO_OAUTH_CLIENT_ID",)


def test_secrets_are_not_in_what_is_printed() -> None:
    environ = {**CORP, "MY_CORP_OAUTH_CLIENT_SECRET": "hidden"}
    assert "hidden" not in repr(OAuthClients(environ).of(NODE))
