"""What a provider is: one upstream API as a row of facts."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from omniroute.chat import Dialect


class Auth(StrEnum):
    """How an upstream wants its key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    NONE = "none"


class Provider(Struct, frozen=True, kw_only=True):
    """One upstream API. Holds facts only; behaviour lives with its dialect.

    `base_url` may hold `{name}` fields that a connection's options fill in; `chat_path`,
    `models_path` and, where tokens can be counted, `count_path` are appended to it. `env` are
    environment variables that commonly hold a key for it, best first. `prices` is the provider's
    id in genai-prices; `families` are the beginnings of the model names that are its own, where
    that price list names other services' models too. `probe_port` is set for servers that run on
    the user's own machine.
    """

    id: str
    name: str
    base_url: str
    source: str
    alias: str = ""
    extra_aliases: tuple[str, ...] = ()
    dialect: Dialect = Dialect.OPENAI_CHAT
    auth: Auth = Auth.BEARER
    headers: Mapping[str, str] = {}
    chat_path: str = "/chat/completions"
    models_path: str = "/models"
    count_path: str | None = None
    env: tuple[str, ...] = ()
    prices: str | None = None
    families: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    probe_port: int | None = None
    keyless: bool = False
    in_process: bool = False
    stream_usage: bool = True
    developer_role: bool = False
    completion_limit_prefixes: tuple[str, ...] = ()
    reasoning_history: bool = False
    marks_stream_end: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Every prefix that means this provider, its alias first."""
        return tuple(dict.fromkeys((self.alias or self.id, self.id, *self.extra_aliases)))
