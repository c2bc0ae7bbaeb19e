"""The operator's own OAuth clients, as variables of the environment name them. Source: 02 §5."""

import re
from collections.abc import Iterable, Mapping
from typing import get_args
from urllib.parse import urlsplit

from omniroute.catalog.oauth import OAUTH, OAuthFacts, OAuthFlow
from omniroute.catalog.provider import Provider
from omniroute.errors import InvalidRequest
from omniroute.upstream.oauth import OAuthClient

FLOWS: tuple[OAuthFlow, ...] = get_args(OAuthFlow)
_ADDRESSES = {
    "authorization_code_pkce": ("AUTHORIZE_URL", "TOKEN_URL"),
    "authorization_code": ("AUTHORIZE_URL", "TOKEN_URL"),
    "device_code": ("DEVICE_CODE_URL", "TOKEN_URL"),
}
PARTS = (
    "CLIENT_ID",
    "CLIENT_SECRET",
    "AUTHORIZE_URL",
    "TOKEN_URL",
    "DEVICE_CODE_URL",
    "USERINFO_URL",
    "SCOPES",
    "FLOW",
    "CALLBACK_PORT",
)
"""What stands after `<PROVIDER>_OAUTH_`."""


def spelled(name: str) -> str:
    """A provider's id, or a node's prefix, as the beginning of a variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


class OAuthClients:
    """Which providers people can sign in to here.

    Args:
        environ: the variables of the process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._made: dict[tuple[str, ...], OAuthClient | None] = {}

    def of(self, provider: Provider) -> OAuthClient | None:
        """The client for a provider; None where no client id is set.

        Raises:
            InvalidRequest: a variable is missing or has a value that cannot be used; names it.
        """
        key = (provider.id, provider.alias)
        if key not in self._made:
            facts = OAUTH.get(provider.id, OAuthFacts(provider=provider.id))
            self._made[key] = self._read(provider, facts)
        return self._made[key]

    def variables(self, provider: Provider) -> tuple[str, ...]:
        """The variables without which there is no client for a provider, whether set or not."""
        facts = OAUTH.get(provider.id, OAuthFacts(provider=provider.id))
        prefix = self._prefix(provider)
        known = {**self._known(facts)}
        flow = self._get(f"{prefix}_FLOW") or "authorization_code_pkce"
        needed = [part for part in _ADDRESSES.get(flow, ()) if part not in known]
        return tuple(f"{prefix}_{part}" for part in ("CLIENT_ID", *needed))

    def every_variable(self, provider: Provider) -> tuple[str, ...]:
        """Everything that can be said of signing in to a provider."""
        facts = OAUTH.get(provider.id, OAuthFacts(provider=provider.id))
        prefix = self._prefix(provider)
        base = (facts.base_variable,) if facts.base_variable else ()
        return (*(f"{prefix}_{part}" for part in PARTS), *facts.client_ids, *base)

    def missing(self, provider: Provider) -> tuple[str, ...]:
        """The variables a client of a provider needs and does not have."""
        facts = OAUTH.get(provider.id, OAuthFacts(provider=provider.id))
        others = {f"{self._prefix(provider)}_CLIENT_ID": facts.client_ids}
        return tuple(
            name
            for name in self.variables(provider)
            if not any(self._get(one) for one in (name, *others.get(name, ())))
        )

    def reread(self, environ: Mapping[str, str]) -> None:
        """Go on with other variables."""
        self._environ = environ
        self._made = {}

    def mentioned(self, providers: Iterable[Provider]) -> tuple[Provider, ...]:
        """The providers that some variable is about."""
        return tuple(
            row
            for row in providers
            if any(self._get(f"{self._prefix(row)}_{part}") for part in PARTS)
        )

    def _prefix(self, provider: Provider) -> str:
        """Nodes have ids nobody would spell: their prefix names them as well."""
        names = dict.fromkeys((provider.id, provider.alias or provider.id))
        prefixes = [f"{spelled(name)}_OAUTH" for name in names]
        set_ = (one for one in prefixes if any(self._get(f"{one}_{part}") for part in PARTS))
        return next(set_, prefixes[0])

    def _get(self, name: str) -> str | None:
        return (self._environ.get(name) or "").strip() or None

    def _known(self, facts: OAuthFacts) -> dict[str, str]:
        """The addresses that a row gives, below the operator's own base address."""
        base = self._base(facts)
        paths = {
            "AUTHORIZE_URL": facts.authorize_path,
            "TOKEN_URL": facts.token_path,
            "DEVICE_CODE_URL": facts.device_code_path,
            "USERINFO_URL": facts.userinfo_path,
        }
        return {part: base + path for part, path in paths.items() if base and path}

    def _base(self, facts: OAuthFacts) -> str:
        told = self._get(facts.base_variable) if facts.base_variable else None
        if told is not None and facts.base_variable:
            return _address(facts.base_variable, told).rstrip("/")
        return facts.base_url

    def account_options(self, provider: Provider) -> dict[str, str]:
        """What accounts of a provider need to know of where the operator runs it.

        Raises:
            InvalidRequest: the variable holds no address.
        """
        facts = OAUTH.get(provider.id)
        if facts is None or self._base(facts) == facts.base_url:
            return {}
        return {"baseUrl": self._base(facts) + facts.api_path}

    def _read(self, provider: Provider, facts: OAuthFacts) -> OAuthClient | None:
        prefix = self._prefix(provider)
        ids = (f"{prefix}_CLIENT_ID", *facts.client_ids)
        client_id = next((found for name in ids if (found := self._get(name))), None)
        if client_id is None:
            return None
        flow = _flow(f"{prefix}_FLOW", self._get(f"{prefix}_FLOW"))
        urls = self._known(facts)
        for part in ("AUTHORIZE_URL", "TOKEN_URL", "DEVICE_CODE_URL", "USERINFO_URL"):
            told = self._get(f"{prefix}_{part}")
            if told is not None:
                urls[part] = _address(f"{prefix}_{part}", told)
        for part in _ADDRESSES[flow]:
            if part not in urls:
                raise _unusable(f"{prefix}_{part}", f"is needed for the flow {flow}")
        scopes = self._get(f"{prefix}_SCOPES")
        return OAuthClient(
            provider=provider.id,
            name=provider.name,
            flow=flow,
            client_id=client_id,
            client_secret=self._get(f"{prefix}_CLIENT_SECRET"),
            authorize_url=urls.get("AUTHORIZE_URL"),
            token_url=urls["TOKEN_URL"],
            device_code_url=urls.get("DEVICE_CODE_URL"),
            userinfo_url=urls.get("USERINFO_URL"),
            scopes=facts.scopes if scopes is None else tuple(scopes.split()),
            callback_port=_port(f"{prefix}_CALLBACK_PORT", self._get(f"{prefix}_CALLBACK_PORT")),
            account_options=self.account_options(provider),
        )

    def person_client(self, provider: Provider) -> OAuthClient | None:
        """As much of a client as personal tokens need; None where the provider has none."""
        facts = OAUTH.get(provider.id)
        if facts is None or not facts.personal_tokens:
            return None
        return OAuthClient(
            provider=provider.id,
            name=provider.name,
            flow="authorization_code_pkce",
            client_id="",
            token_url="",
            userinfo_url=self._known(facts).get("USERINFO_URL"),
            account_options=self.account_options(provider),
        )


def _flow(variable: str, text: str | None) -> OAuthFlow:
    if text is None:
        return "authorization_code_pkce"
    found = next((flow for flow in FLOWS if flow == text), None)
    if found is None:
        raise _unusable(variable, f"must be one of {', '.join(FLOWS)}")
    return found


def _address(variable: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        fits = False
    if not fits or any(ord(char) <= 32 for char in text):
        raise _unusable(variable, "must be an http or https address")
    return text


def _port(variable: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65_535):
        raise _unusable(variable, "must be a port")
    return int(text)


def _unusable(variable: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"The variable {variable} {problem}.", param=variable)
