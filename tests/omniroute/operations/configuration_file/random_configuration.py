"""Configurations drawn from a seed, written row by row as the rest of the product writes them."""

import random
import string
import uuid
from typing import Any

from omniroute.caller import RateRule
from omniroute.catalog.overrides import StatedPrice
from omniroute.operations.accounts.connections import node_facts
from omniroute.operations.combos.combo_steps import StepInput, step_of
from omniroute.storage.database import Work
from omniroute.storage.records.access import IpFilter
from omniroute.storage.records.configuration import (
    AccessSchedule,
    Agent,
    ApiKey,
    Combo,
    Compat,
    Connection,
    CustomModel,
    ModelCompat,
    ModelMapping,
    ProviderNode,
)
from omniroute.storage.records.money import BudgetRow
from omniroute.storage.records.proxies import GLOBAL, LayeredProxy, Proxy, ProxyAssignment

NOW = "2026-01-01T00:00:00.000Z"
ODD = [
    "ü ö",
    'say "hi"',
    "a.b",
    "tab\there",
    "back\\slash",
    "\N{GRINNING FACE}",
    "#1",
    "line\nbreak",
]


class Drawn:
    """Draws one configuration."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.count = 0

    def maybe(self, value: Any, otherwise: Any = None) -> Any:
        return value if self.draw.random() < 0.5 else otherwise

    def name(self, plain: bool = False) -> str:
        self.count += 1
        letters = "".join(self.draw.choices(string.ascii_letters, k=5))
        odd = "" if plain else self.maybe(self.draw.choice(ODD[:7]), "")
        return f"{letters}{odd}{self.count}"

    def text(self) -> str:
        return " ".join(self.draw.choices([*ODD, "plain", "'''", '"""', "\n\n"], k=4))

    def id(self) -> str:
        return str(uuid.UUID(int=self.draw.getrandbits(128)))

    def some(self, make: Any, most: int = 3) -> list[Any]:
        return [make() for _ in range(self.draw.randrange(most + 1))]


async def write(work: Work, seed: int) -> None:
    """Fill an empty database."""
    one = Drawn(seed)
    draw = one.draw
    settings = {
        "fallbackStrategy": "p2c",
        "debugMode": one.maybe(True, False),
        "intentSimpleMaxWords": draw.randrange(1, 500),
        "instanceName": one.text()[:100],
        "systemPrompt": {"enabled": True, "prompt": one.text()},
        "comboDefaults": {"maxRetries": 3},
        "wildcardAliases": [{"pattern": "x*", "target": one.name()}],
        "hiddenSidebarItems": [one.name(), one.name()],
        "modelFamilies": {"families": [["a", "b"], ["c"]]},
    }
    for name, value in settings.items():
        if draw.random() < 0.6:
            await work.settings.set(name, value)
    if draw.random() < 0.5:
        await work.settings.set("resilience", {"requestQueue": {"maxWaitMs": 7}})
    if draw.random() < 0.5:
        await work.access.set_ip_filter(IpFilter(enabled=True, whitelist=("10.0.0.*", "::1")))
    nodes = one.some(lambda: _node(one))
    for node in nodes:
        await work.nodes.save(node)
    accounts = one.some(lambda: _account(one, nodes), 5)
    for account in accounts:
        await work.connections.save(account)
    providers = ["openai", "anthropic", *(node.id for node in nodes)]
    for _ in range(draw.randrange(4)):
        provider, model = draw.choice(providers), one.name()
        await work.model_names.save_custom_model(
            CustomModel(provider=provider, id=model, name=one.maybe(one.name(), ""),
                        api_format=one.maybe("responses", "chat-completions"))
        )  # fmt: skip
        await work.model_names.save_compat(
            ModelCompat(
                provider=provider, id=model, is_hidden=True, aliases=(one.name(True),),
                normalize_tool_call_id=one.maybe(False),
                upstream_headers=one.maybe({"x-a": "b", "x-token": "t"}),
                compat_by_protocol={"claude": Compat(preserve_openai_developer_role=True)},
            )
        )  # fmt: skip
        price = StatedPrice(input=draw.choice([0, 1, 0.125, 3e-06]), cached=2.5)
        known = dict((await work.prices.stated()).get(provider, {}))
        await work.prices.save(provider, {**known, model.lower(): price})
    combos = await _combos(work, one, accounts, providers)
    await _keys(work, one, accounts)
    for _ in range(draw.randrange(3)):
        await work.model_names.set_alias(one.name(True), f"openai/{one.name(True)}")
    if combos:
        for _ in range(draw.randrange(3)):
            await work.mappings.save(
                ModelMapping(id=one.id(), pattern=f"{one.name()}*", combo_id=draw.choice(combos).id,
                             priority=draw.randrange(-5, 5), enabled=one.maybe(False, True),
                             description=one.text(), created_at=NOW, updated_at=NOW)
            )  # fmt: skip
    for _ in range(draw.randrange(3)):
        await work.agents.save(
            Agent(id=f"agent-{one.id()[:8].lower()}", title=one.name(True),
                  description=one.text() or "d", system_prompt=one.text(),
                  model=draw.choice(combos).name if combos else "auto",
                  tools=one.maybe(("file_read", "file_write"), ()), enabled=one.maybe(False, True),
                  max_steps=draw.randrange(1, 9), created_at=NOW, updated_at=NOW)
        )  # fmt: skip
    await _proxies(work, one, accounts, combos)
    await work.settings.bump()


def _node(one: Drawn) -> ProviderNode:
    prefix = one.name(True).lower()
    return ProviderNode(
        id=f"openai-compatible-chat-{one.id()}", type="openai-compatible", name=f"N {prefix}",
        prefix=prefix, base_url=f"http://{prefix}.test/v1", api_type="chat",
        chat_path=one.maybe("/chat", ""), created_at=NOW, updated_at=NOW,
        headers=one.maybe({"x-team": "a", "x-api-key": "header secret"}, {}),
    )  # fmt: skip


def _account(one: Drawn, nodes: list[ProviderNode]) -> Connection:
    node = one.maybe(one.draw.choice(nodes)) if nodes else None
    options: dict[str, Any] = {} if node is None else node_facts(node)
    options |= one.maybe({"extraApiKeys": [f"k-{one.name()}"], "tags": [one.name()]}, {})
    options |= one.maybe({"baseUrl": "https://own.test/v1", "excludedModels": ["a*"]}, {})
    return Connection(
        id=one.id(), provider=node.id if node else one.draw.choice(["openai", "anthropic"]),
        name=one.name(), api_key=f"sk-{one.name()}", priority=one.draw.randrange(1, 100),
        global_priority=one.maybe(5), default_model=one.maybe(one.name()),
        is_active=one.maybe(False, True), group=one.maybe("g"), max_concurrent=one.maybe(0),
        rate_limit_protection=one.maybe(False), health_check_interval=one.maybe(60),
        project_id=one.maybe("p"), quota_window_thresholds=one.maybe({"5h": 10}), options=options,
        test_status="unknown", created_at=NOW, updated_at=NOW,
    )  # fmt: skip


async def _combos(
    work: Work, one: Drawn, accounts: list[Connection], providers: list[str]
) -> list[Combo]:
    found: list[Combo] = []
    for place in range(one.draw.randrange(4)):
        name, steps = f"combo {one.name(True)}", []
        known = {row.name for row in found}
        for at in range(1, one.draw.randrange(1, 5)):
            account = one.maybe(one.draw.choice(accounts)) if accounts else None
            step = StepInput(
                kind="model", model=f"{one.draw.choice(providers)}/{one.name()}",
                connection_id=account.id if account else None, weight=one.draw.choice([0, 1, 2.5]),
                label=one.maybe(one.name()), tags=one.maybe(["t"], []), id=one.maybe(f"s{at}"),
                provider_id=one.maybe("openai"),
            )  # fmt: skip
            if found and one.draw.random() < 0.3:
                step = StepInput(kind="combo-ref", combo_name=found[-1].name)
            if one.draw.random() < 0.3:
                step = StepInput(kind="model", model=one.draw.choice([*known, "bare"]))
            steps.append(step_of(name, at, step, known))
        combo = Combo(
            id=one.id(), name=name, strategy=one.draw.choice(["priority", "auto", "p2c"]),
            steps=tuple(steps), config=one.maybe({"maxRetries": 1, "timeoutMs": 5000}, {}),
            allowed_providers=one.maybe(("openai",), ()), system_message=one.maybe(one.text()),
            tool_filter_regex=one.maybe("^a\\d+$"), context_length=one.maybe(4000),
            context_cache_protection=one.maybe(True, False), is_active=one.maybe(False, True),
            is_hidden=one.maybe(True, False), sort_order=place * 3, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        await work.combos.save(combo)
        found.append(combo)
    return found


async def _keys(work: Work, one: Drawn, accounts: list[Connection]) -> None:
    for _ in range(one.draw.randrange(4)):
        key = ApiKey(
            id=one.id(), name=one.name(), key_hash=one.name(), prefix="omr-", suffix="abcd",
            machine_id="m", scopes=one.maybe(("chat", "manage"), ()),
            allowed_models=one.maybe((one.name(),), ()),
            allowed_connections=tuple(row.id for row in accounts[:2]) if one.maybe(True) else (),
            no_log=one.maybe(True, False), is_active=one.maybe(False, True),
            is_banned=one.maybe(True, False), expires_at=one.maybe(NOW),
            auto_resolve=one.maybe(True, False), max_sessions=one.maybe(3, 0),
            access_schedule=one.maybe(AccessSchedule(
                enabled=True, from_="08:00", until="18:00", days=(1, 2), tz="Europe/Berlin")),
            rate_limits=one.maybe((RateRule(5, 60), RateRule(50, 3600))),
            max_requests_per_day=one.maybe(100), ip_allowlist=one.maybe(("10.0.0.0/8",), ()),
            disabled_guardrails=one.maybe(("pii",), ()), created_at=NOW,
        )  # fmt: skip
        await work.keys.save(key)
        if one.draw.random() < 0.5:
            await work.budgets.save(
                BudgetRow(scope_kind="key", scope_id=key.id, daily_micro_usd=1_500_000,
                          warning_threshold=0.5, action=one.maybe("degrade", "deny"))
            )  # fmt: skip
    await work.budgets.save(
        BudgetRow(scope_kind="run", scope_id=one.name(), total_micro_usd=1, reset_time="03:00")
    )


async def _proxies(work: Work, one: Drawn, accounts: list[Connection], combos: list[Combo]) -> None:
    uses: list[tuple[Any, str]] = [("global", GLOBAL), ("provider", "openai")]
    uses += [("account", row.id) for row in accounts] + [("combo", row.id) for row in combos]
    one.draw.shuffle(uses)
    for _ in range(one.draw.randrange(3)):
        proxy = Proxy(
            id=one.id(), name=one.name(), type=one.draw.choice(["http", "socks5"]),
            host="proxy.example", port=3128, username=one.maybe("bob", ""),
            password=one.maybe(f"p-{one.name(True)}", ""), region=one.maybe("eu"),
            notes=one.maybe("n\nm"), status=one.maybe("inactive", "active"), created_at=NOW,
            updated_at=NOW,
        )  # fmt: skip
        await work.proxies.save(proxy)
        for scope, scope_id in [uses.pop() for _ in range(min(len(uses), 2))]:
            await work.proxies.assign(
                ProxyAssignment(id=one.id(), proxy_id=proxy.id, scope=scope, scope_id=scope_id)
            )
    layers = [("global", ""), ("provider", "openai")]
    layers += [("key", row.id) for row in accounts[:1]] + [
        ("combo", row.name) for row in combos[:1]
    ]
    for level, id_ in layers:
        if one.draw.random() < 0.4:
            await work.layered_proxies.set(
                level, id_, LayeredProxy(type="http", host="l.example", port=1, password="pw")
            )
