"""What a provider is: one upstream API as a row of facts."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from omniroute.catalog.families import THINKS_IN_TEXT
from omniroute.catalog.quota_shapes import QuotaApi
from omniroute.catalog.search_apis import SearchApi
from omniroute.chat import Dialect


class Auth(StrEnum):
    """How an upstream wants its key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    SUBSCRIPTION = "x-subscription-token"
    GOOG = "goog"
    AWS_SIGV4 = "aws-sigv4"
    GOOGLE_SERVICE_ACCOUNT = "google-service-account"
    NONE = "none"


class Provider(Struct, frozen=True, kw_only=True):
    """One upstream API. Holds facts only; behaviour lives with its dialect.

    `base_url` may hold `{name}` fields that a connection's options fill in; `chat_path`,
    `models_path` and, where tokens can be counted, `count_path` are appended to it;
    `count_dialect` is what it counts in, where that is not what it is spoken to in; `stream_path`
    is for streams where they have a path of their own. `also` are further dialects the service
    speaks natively, with the path of each. `framing` is how a stream travels. `env` are
    environment variables that commonly hold a key for it, best first, and `env_options` those
    that hold its options, by option. `renames` are names its models used to have. `prices` is the
    provider's id in genai-prices; `families` are the beginnings of the model names that are its
    own, where that price list names other services' models too. `probe_port` is set for servers
    that run on the user's own machine. `quota` is how it reports what an account has left.
    `check` is how a credential is tried at no cost: `models` lists them; a path that begins with a
    slash is asked instead where anybody may list them, and `chat` asks a model for one token.
    `search` is set for services that search the web and have no models at all.

    What services of one dialect do differently: `call_id_chars` is the exact length of tool call
    ids one insists on, and the `..._prefixes` are beginnings of model ids: of models that know no
    system role, that take thinking levels instead of budgets, that think as much as they see fit,
    that take no sampling parameters, that keep to a JSON Schema by themselves, and that write
    their thinking into the text. `body_model` false says that model and streaming stand in the
    path and not in the body, and `body_fields` are what the body must hold besides. `defaults`
    are values for `{name}` fields, `hosts` the `{host}` by region (`*` for all others), and
    `resource_url` makes an address of a `{resource}` that is only a name.
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
    count_dialect: Dialect | None = None
    env: tuple[str, ...] = ()
    env_options: Mapping[str, tuple[str, ...]] = {}
    renames: Mapping[str, str] = {}
    prices: str | None = None
    families: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    probe_port: int | None = None
    quota: QuotaApi | None = None
    search: SearchApi | None = None
    check: str = "models"
    keyless: bool = False
    in_process: bool = False
    stream_usage: bool = True
    developer_role: bool = False
    completion_limit_prefixes: tuple[str, ...] = ()
    reasoning_history: bool = False
    marks_stream_end: bool = True
    stream_path: str | None = None
    also: Mapping[Dialect, str] = {}
    framing: Literal["native", "aws-event-stream"] = "native"
    defaults: Mapping[str, str] = {}
    hosts: Mapping[str, str] = {}
    resource_url: str | None = None
    body_fields: Mapping[str, Any] = {}
    body_model: bool = True
    call_id_chars: int | None = None
    no_system_prefixes: tuple[str, ...] = ()
    thinking_level_prefixes: tuple[str, ...] = ()
    adaptive_prefixes: tuple[str, ...] = ()
    fixed_sampling_prefixes: tuple[str, ...] = ()
    structured_prefixes: tuple[str, ...] = ()
    think_tag_prefixes: tuple[str, ...] = THINKS_IN_TEXT

    @property
    def names(self) -> tuple[str, ...]:
        """Every prefix that means this provider, its alias first."""
        return tuple(dict.fromkeys((self.alias or self.id, self.id, *self.extra_aliases)))
