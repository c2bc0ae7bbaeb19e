"""The configuration a request sees: immutable, versioned, rebuilt on change and swapped whole."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from omniroute.catalog.families import ADAPTIVE, FIXED_SAMPLING
from omniroute.catalog.fitness import Fitness, shipped
from omniroute.catalog.models import default_model, known_models, providers_by_model
from omniroute.catalog.overrides import Stated, named_price, priced, refreshed
from omniroute.catalog.prices import FREE, Price, price_of
from omniroute.catalog.provider import Auth, Provider
from omniroute.catalog.providers import DEMO, PREFIXES, PROVIDERS
from omniroute.catalog.providers.search import DEMO_SEARCH
from omniroute.chat import Dialect
from omniroute.errors import InvalidRequest
from omniroute.routing.combo_config import ComboConfig, effective
from omniroute.routing.compression import Compression
from omniroute.routing.naming.patterns import matches
from omniroute.routing.proxying import SILENT, Outbound, Proxying
from omniroute.routing.settings import SETTINGS, PayloadPolicy
from omniroute.routing.shaping import Shaping, said, shaping_of
from omniroute.storage.records.access import AccessRules
from omniroute.storage.records.configuration import (
    Agent,
    ApiKey,
    Combo,
    Compat,
    Connection,
    CustomModel,
    ModelCompat,
    ModelMapping,
    Protocol,
    ProviderNode,
    SyncedPrices,
)
from omniroute.storage.records.money import BudgetRow
from omniroute.upstream.google import project_of

DEMO_ACCOUNT = Connection(
    id="demo", provider=DEMO.id, name="Built-in demo", auth_type="none", default_model="echo"
)
DEMO_SEARCHER = Connection(
    id="demo-search", provider=DEMO_SEARCH.id, name="Built-in demo search", auth_type="none"
)


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything routing and admission read, with nothing left to look up in SQL.

    `accounts` holds the active accounts of each provider of models, best first, and `searchers`
    those each search provider can be asked with. `prefixes` maps every
    prefix of a model string to a provider id, `aliases` names operators made up to what they
    stand for, and `mappings` are the patterns that stand for combos, in the order they are tried.
    `custom_models` are by provider and id, and so is `compat`, what is done otherwise for single
    models. `spellings` says whether other vendors' spellings of
    model names are understood.

    The rest is worked out once, so that no request pays for how much is configured:
    `combo_configs` are the configurations in force, `auto_accounts` what `auto` chooses from,
    best first, `listing` the providers whose accounts list a model themselves, `catalogued` the
    providers with an account that relies on the catalogue, `agents` those made by configuration
    that are switched on, and `keeps_conversations` whether
    conversations keep their model in some combo.
    """

    version: int
    providers: Mapping[str, Provider]
    prefixes: Mapping[str, str]
    accounts: Mapping[str, tuple[Connection, ...]]
    searchers: Mapping[str, tuple[Connection, ...]] = {}
    connections: Mapping[str, Connection]
    nodes: Mapping[str, ProviderNode]
    combos: Mapping[str, Combo]
    keys: Mapping[str, ApiKey]
    settings: Mapping[str, Any]
    aliases: Mapping[str, str] = {}
    mappings: tuple[ModelMapping, ...] = ()
    custom_models: Mapping[str, Mapping[str, CustomModel]] = {}
    compat: Mapping[tuple[str, str], ModelCompat] = {}
    spellings: bool = True
    combos_by_id: Mapping[str, Combo] = {}
    combo_configs: Mapping[str, ComboConfig] = {}
    auto_accounts: tuple[tuple[Connection, str], ...] = ()
    listing: Mapping[str, tuple[str, ...]] = {}
    catalogued: frozenset[str] = frozenset()
    fitness: Fitness = shipped()
    budgets: Mapping[tuple[str, str], BudgetRow] = {}
    stated_prices: Stated = {}
    shaping: Shaping = Shaping()
    keeps_conversations: bool = False
    synced_prices: SyncedPrices = SyncedPrices()
    proxying: Proxying = SILENT
    access: AccessRules = AccessRules()
    payload_policy: PayloadPolicy = PayloadPolicy()
    compression: Compression = Compression()
    agents: Mapping[str, Agent] = {}

    @property
    def password_hash(self) -> str | None:
        """The hash of the dashboard's password; None while nobody has set one."""
        return self.access.password_hash

    def login_required(self, *, local: bool) -> bool:
        """Whether managing needs a credential (02 §2.5): not where the operator says so, and not
        on this machine as long as nobody has set a password."""
        if self.settings["requireLogin"] is False:
            return False
        if self.password_hash is not None:
            return True
        return bool(self.settings["setupComplete"]) or not local

    def active_accounts(self) -> Iterator[Connection]:
        """Every active account but the built-in ones, whatever its provider is for."""
        for rows in self.accounts.values():
            yield from (row for row in rows if row.id != DEMO_ACCOUNT.id)
        for provider, rows in self.searchers.items():
            own = (row for row in rows if row.provider == provider)
            yield from (row for row in own if row.id != DEMO_SEARCHER.id)

    def provider_named(self, name: str) -> str | None:
        """The id of a provider or node by its prefix, alias or id; None for no such thing."""
        return self.prefixes.get(name) or (name if name in self.providers else None)

    def written(self, provider: str, model: str) -> str:
        """A model's name as clients write it."""
        return f"{self.providers[provider].alias or provider}/{model}"

    def serving(self, model: str) -> list[str]:
        """Providers with an active account that is known to serve a model."""
        listed = self.listing.get(model, ())
        known = providers_by_model().get(model, ())
        return [*listed, *(one for one in known if one in self.catalogued and one not in listed)]

    def price(self, provider: str, model: str) -> Price | None:
        """What a model costs; free on the user's own machine, None when nobody states a price."""
        base = self.built_in_price(provider, model)
        synced = named_price(self.synced_prices.merged.get(provider), model)
        if synced is not None:
            base = refreshed(base, synced)
        stated = named_price(self.stated_prices.get(provider), model)
        return base if stated is None else priced(base, stated)

    def built_in_price(self, provider: str, model: str) -> Price | None:
        """The same, before price lists and operators had their say."""
        row = self.providers[provider]
        if row.in_process or row.probe_port is not None:
            return FREE
        return price_of(row.prices, model)

    def conduct(self, combo: str | None, provider: str) -> ComboConfig | None:
        """How a combo treats a provider: retries, pauses, hedging; None where no combo answers."""
        stored = self.combos.get(combo) if combo is not None else None
        if stored is None:
            return None
        if provider not in self.settings["providerOverrides"]:
            return self.combo_configs[stored.name]
        return effective(self.settings, provider, stored)

    def excludes(self, account: Connection, model: str) -> bool:
        """Whether an account is not to be used for a model (its `excludedModels`, 05 §5.2)."""
        patterns = account.options.get("excludedModels")
        if not isinstance(patterns, list):
            return False
        names = (f"{account.provider}/{model}", model, model.rsplit("/", 1)[-1])
        return any(matches(str(pattern), name) for pattern in patterns for name in names)

    def provider_for(self, provider: str, model: str) -> Provider:
        """The row of a provider, as one of its models is spoken to."""
        row = self.providers[provider]
        custom = self.custom_models.get(provider, {}).get(model)
        if custom is None or custom.api_format != "responses":
            return row
        responses = Dialect.OPENAI_RESPONSES
        path = row.chat_path if row.dialect is responses else row.also.get(responses, "/responses")
        return replace(row, dialect=responses, chat_path=path, stream_path=None, also={})

    def compat_for(self, provider: str, model: str, protocol: Protocol | None) -> Compat:
        """What is done otherwise for a model, for a client that speaks a protocol."""
        told = self.compat.get((provider, model))
        return Compat() if told is None else told.towards(protocol)

    def is_hidden(self, provider: str, model: str) -> bool:
        """Whether a model is left out of lists."""
        told = self.compat.get((provider, model))
        return told is not None and told.is_hidden

    def default_model(self, account: Connection) -> str | None:
        """What `auto` asks this account for."""
        return (
            account.default_model
            or default_model(account.provider)
            or next(iter(self.models(account)), None)
        )

    def models(self, account: Connection) -> tuple[str, ...]:
        """Model ids this account is known to serve: discovered ones, else the catalogue's."""
        discovered = account.options.get("models")
        if isinstance(discovered, list):
            listed = tuple(str(model) for model in discovered)
        else:
            listed = tuple(model.id for model in known_models(account.provider))
        added = self.custom_models.get(account.provider)
        return tuple(dict.fromkeys((*listed, *added))) if added else listed


def build_snapshot(
    *,
    version: int,
    connections: Iterable[Connection],
    nodes: Iterable[ProviderNode],
    combos: Iterable[Combo],
    keys: Iterable[ApiKey],
    settings: Mapping[str, Any],
    aliases: Mapping[str, str] | None = None,
    mappings: Iterable[ModelMapping] = (),
    custom_models: Iterable[CustomModel] = (),
    compat: Iterable[ModelCompat] = (),
    spellings: bool = True,
    fitness: Fitness | None = None,
    budgets: Iterable[BudgetRow] = (),
    stated_prices: Stated | None = None,
    synced_prices: SyncedPrices | None = None,
    outbound: Outbound | None = None,
    access: AccessRules | None = None,
    agents: Mapping[str, Agent] | None = None,
    last: Snapshot | None = None,
) -> Snapshot:
    """Index stored configuration for lookups. Connections come ordered, best first.

    Args:
        last: the snapshot before this one; what was worked out for rows that are the very same
            is taken from it.
    """
    nodes_by_id = {node.id: node for node in nodes}
    providers = dict(PROVIDERS)
    providers.update(_providers(nodes_by_id, last))
    prefixes = {name: row.id for name, row in PREFIXES.items()}
    prefixes.update({node.prefix: node.id for node in nodes_by_id.values()})
    by_id = {connection.id: connection for connection in connections}
    by_id[DEMO_ACCOUNT.id] = DEMO_ACCOUNT
    in_force = {**SETTINGS, **settings}
    active: dict[str, list[Connection]] = {}
    blocked = {prefixes.get(name, name) for name in in_force["blockedProviders"]}
    usable = providers.keys() - blocked
    for connection in by_id.values():
        if connection.is_active and connection.provider in usable:
            active.setdefault(connection.provider, []).append(connection)
    best_first = {
        provider: tuple(sorted(rows, key=lambda row: row.priority))
        for provider, rows in active.items()
    }
    accounts = {name: rows for name, rows in best_first.items() if providers[name].search is None}
    named = {combo.name: combo for combo in combos}
    snapshot = Snapshot(
        version=version,
        providers=providers,
        prefixes=prefixes,
        accounts=accounts,
        searchers=_searchers(best_first, usable),
        connections=by_id,
        nodes=nodes_by_id,
        combos=named,
        keys=_by_hash(keys),
        settings=in_force,
        aliases=_with_patterns(aliases or {}, in_force["wildcardAliases"]),
        mappings=tuple(row for row in mappings if row.enabled),
        custom_models=_by_provider(custom_models),
        compat={(row.provider, row.id): row for row in compat},
        spellings=spellings,
        combos_by_id={combo.id: combo for combo in named.values()},
        combo_configs=_combo_configs(named, in_force, last),
        listing=_listing(accounts),
        catalogued=frozenset(
            provider
            for provider, rows in accounts.items()
            if any(not isinstance(row.options.get("models"), list) for row in rows)
        ),
        fitness=fitness or shipped(),
        budgets={(row.scope_kind, row.scope_id): row for row in budgets},
        stated_prices=stated_prices or {},
        shaping=shaping_of(in_force),
        keeps_conversations=any(combo.context_cache_protection for combo in named.values()),
        synced_prices=synced_prices or SyncedPrices(),
        proxying=_proxying(outbound or Outbound(), in_force, named, providers.values()),
        access=access or AccessRules(),
        agents={name: row for name, row in (agents or {}).items() if row.enabled},
        payload_policy=said(in_force, "callLogPayloads", PayloadPolicy),
        compression=said(in_force, "compression", Compression),
    )
    return replace(snapshot, auto_accounts=_auto_accounts(snapshot))


def _searchers(
    accounts: Mapping[str, tuple[Connection, ...]], usable: Collection[str]
) -> dict[str, tuple[Connection, ...]]:
    """The accounts each search provider can be asked with: its own, then those it shares."""
    found = {}
    for name, row in PROVIDERS.items():
        if row.search is not None and name in usable:
            shared = accounts.get(row.search.shares or "", ())
            built_in = (DEMO_SEARCHER,) if name == DEMO_SEARCHER.provider else ()
            rows = (*accounts.get(name, ()), *shared, *built_in)
            if rows:
                found[name] = rows
    return found


def _providers(nodes: Mapping[str, ProviderNode], last: Snapshot | None) -> dict[str, Provider]:
    old = {} if last is None else last.nodes
    return {
        name: last.providers[name]
        if last is not None and old.get(name) is node
        else as_provider(node)
        for name, node in nodes.items()
    }


def _combo_configs(
    combos: Mapping[str, Combo], settings: Mapping[str, Any], last: Snapshot | None
) -> dict[str, ComboConfig]:
    same = last if last is not None and last.settings == settings else None
    return {
        name: same.combo_configs[name]
        if same is not None and same.combos.get(name) is combo
        else effective(settings, None, combo)
        for name, combo in combos.items()
    }


def revised(
    snapshot: Snapshot,
    *,
    combos: Iterable[Combo],
    settings: Mapping[str, Any],
    stated_prices: Stated,
) -> Snapshot:
    """The same configuration with other combos, settings and prices, as it would be read."""
    made = build_snapshot(
        version=snapshot.version,
        connections=snapshot.connections.values(),
        nodes=snapshot.nodes.values(),
        combos=combos,
        keys={key.id: key for key in snapshot.keys.values()}.values(),
        settings=settings,
        aliases=snapshot.aliases,
        mappings=snapshot.mappings,
        custom_models=[one for rows in snapshot.custom_models.values() for one in rows.values()],
        compat=snapshot.compat.values(),
        spellings=snapshot.spellings,
        fitness=snapshot.fitness,
        stated_prices=stated_prices,
        synced_prices=snapshot.synced_prices,
        outbound=snapshot.proxying.outbound,
        access=snapshot.access,
    )
    return replace(made, budgets=snapshot.budgets, agents=snapshot.agents)


def _proxying(
    outbound: Outbound,
    settings: Mapping[str, Any],
    combos: Mapping[str, Combo],
    providers: Iterable[Provider],
) -> Proxying:
    allowed = replace(outbound, socks5=outbound.socks5 and settings["enableSocks5Proxy"])
    return Proxying(allowed, combos, [one.id for one in providers if one.probe_port is not None])


def _with_patterns(
    aliases: Mapping[str, str], patterns: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """Aliases with those of the setting; one that operators added by its name comes first."""
    return {**{row["pattern"]: row["target"] for row in patterns}, **aliases}


def _by_hash(keys: Iterable[ApiKey]) -> dict[str, ApiKey]:
    """Keys by the hashes of their texts; that of the time before a rotation still finds its key."""
    found: dict[str, ApiKey] = {}
    for key in keys:
        if key.previous_key_hash is not None:
            found[key.previous_key_hash] = key
        found[key.key_hash] = key
    return found


def _listing(accounts: Mapping[str, Sequence[Connection]]) -> dict[str, tuple[str, ...]]:
    """Providers by the models their accounts list themselves."""
    found: dict[str, dict[str, None]] = {}
    for provider, rows in accounts.items():
        for row in rows:
            own = row.options.get("models")
            for model in own if isinstance(own, list) else ():
                found.setdefault(str(model), {})[provider] = None
    return {model: tuple(providers) for model, providers in found.items()}


def _auto_accounts(snapshot: Snapshot) -> tuple[tuple[Connection, str], ...]:
    """Every active account with the model `auto` asks it for; the demo only where no other is."""
    real = {name: rows for name, rows in snapshot.accounts.items() if name != DEMO.id}
    accounts = [row for rows in (real or snapshot.accounts).values() for row in rows]
    accounts.sort(key=lambda row: (row.global_priority or 100, row.priority))
    return tuple(
        (row, model) for row in accounts if (model := snapshot.default_model(row)) is not None
    )


def _by_provider(models: Iterable[CustomModel]) -> dict[str, dict[str, CustomModel]]:
    found: dict[str, dict[str, CustomModel]] = {}
    for model in models:
        found.setdefault(model.provider, {})[model.id] = model
    return found


_CHAT_PATHS = {
    Dialect.OPENAI_CHAT: "/chat/completions",
    Dialect.OPENAI_RESPONSES: "/responses",
    Dialect.ANTHROPIC: "/messages",
}


_COUNT_PATHS = {Dialect.ANTHROPIC: "/messages/count_tokens"}


def as_provider(node: ProviderNode) -> Provider:
    """A custom upstream as a row like any other."""
    anthropic = node.type == "anthropic-compatible"
    dialect = Dialect.ANTHROPIC if anthropic else Dialect.OPENAI_CHAT
    if node.api_type == "responses":
        dialect = Dialect.OPENAI_RESPONSES
    return Provider(
        id=node.id,
        name=node.name,
        alias=node.prefix,
        base_url=node.base_url,
        source="configured by the operator",
        dialect=dialect,
        auth=Auth.X_API_KEY if anthropic else Auth.BEARER,
        headers={**({"anthropic-version": "2023-06-01"} if anthropic else {}), **node.headers},
        chat_path=node.chat_path or _CHAT_PATHS[dialect],
        models_path=node.models_path or "/models",
        count_path=_COUNT_PATHS.get(dialect),
        keyless=True,
        adaptive_prefixes=ADAPTIVE if anthropic else (),
        fixed_sampling_prefixes=FIXED_SAMPLING if anthropic else (),
    )


def endpoint(provider: Provider, account: Connection, path: str, model: str = "") -> str:
    """The URL of `path` at an account, `{name}` fields filled from its options.

    Raises:
        InvalidRequest: a field the provider needs has no value.
    """
    base = str(account.options.get("baseUrl") or provider.base_url).rstrip("/")
    values = {**provider.defaults, **account.options, "model": model}
    if provider.auth is Auth.GOOGLE_SERVICE_ACCOUNT and account.api_key:
        values.setdefault("project", project_of(account.api_key))
    if provider.hosts:
        host = provider.hosts.get(str(values["region"])) or provider.hosts["*"]
        values["host"] = host.format_map(values)
    resource = str(values.get("resource", ""))
    if provider.resource_url is not None and resource and "://" not in resource:
        values["resource"] = provider.resource_url.format_map(values)
    try:
        return (base + path).format_map(values)
    except KeyError as missing:
        name = missing.args[0]
        raise InvalidRequest(
            f"Account '{account.name}' of {provider.name} lacks the option '{name}'. "
            f"Set it in its providerSpecificData.",
            param=f"providerSpecificData.{name}",
        ) from None
