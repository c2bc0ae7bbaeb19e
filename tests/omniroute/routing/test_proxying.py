"""Which proxy a request goes through, as tables over what is configured."""

import msgspec
import pytest
from tests.support.builders import account, combo

from omniroute.errors import InvalidRequest
from omniroute.routing.environment_proxies import EnvironmentProxies, read_environment
from omniroute.routing.proxying import DIRECT, SOCKS_OFF, Outbound, Proxying, resolve
from omniroute.storage.records.configuration import Combo, Connection
from omniroute.storage.records.proxies import (
    GLOBAL,
    LayeredProxy,
    Proxy,
    ProxyAssignment,
    ProxyKind,
    Scope,
)
from omniroute.upstream.proxies import OutboundProxy, Via

ACCOUNT = account("openai", "acc")
COMBO = combo("team")


def proxy(name: str, kind: ProxyKind = "http", **more: str) -> Proxy:
    made = Proxy(id=name, name=name, type=kind, host=f"{name}.test", port=1)
    return msgspec.structs.replace(made, **more)


def given(scope: Scope, scope_id: str, proxy_id: str) -> ProxyAssignment:
    return ProxyAssignment(id=proxy_id, proxy_id=proxy_id, scope=scope, scope_id=scope_id)


def layer(name: str) -> LayeredProxy:
    return LayeredProxy(type="http", host=f"{name}.test", port=1)


ALL = Outbound(
    proxies=tuple(map(proxy, ("r-account", "r-provider", "r-combo", "r-global"))),
    assignments=(
        given("account", "acc", "r-account"),
        given("provider", "openai", "r-provider"),
        given("combo", "id-team", "r-combo"),
        given("global", GLOBAL, "r-global"),
    ),
    layers={
        ("key", "acc"): layer("c-key"),
        ("combo", "team"): layer("c-combo"),
        ("provider", "openai"): layer("c-provider"),
        ("global", ""): layer("c-global"),
    },
)
# What is taken away, one after the other, and what then holds: (host, level, id, source).
FALLING = [
    (None, "r-account", "account", "acc", "registry"),
    (("account", "acc"), "r-provider", "provider", "openai", "registry"),
    (("provider", "openai"), "r-combo", "combo", "id-team", "registry"),
    (("combo", "id-team"), "r-global", "global", None, "registry"),
    (("global", GLOBAL), "c-key", "key", "acc", "config"),
    (("key", "acc"), "c-combo", "combo", "team", "config"),
    (("combo", "team"), "c-provider", "provider", "openai", "config"),
    (("provider", "openai"), "c-global", "global", None, "config"),
]


def without(outbound: Outbound, place: tuple[str, str]) -> Outbound:
    scopes = {(row.scope, row.scope_id) for row in outbound.assignments}
    if place in scopes:
        rows = [row for row in outbound.assignments if (row.scope, row.scope_id) != place]
        return msgspec.structs.replace(outbound, assignments=tuple(rows))
    layers = {key: row for key, row in outbound.layers.items() if key != place}
    return msgspec.structs.replace(outbound, layers=layers)


def test_the_closest_proxy_holds_the_registry_before_the_layers() -> None:
    outbound = ALL
    for gone, host, level, level_id, source in FALLING:
        outbound = without(outbound, gone) if gone else outbound
        found = resolve(outbound, ACCOUNT, "openai", COMBO)
        assert found is not None
        said = (found.proxy.host, found.level, found.level_id, found.source)
        assert said == (f"{host}.test", level, level_id, source)
    assert resolve(without(outbound, ("global", "")), ACCOUNT, "openai", COMBO) is None


ONLY_COMBO = without(
    without(without(ALL, ("account", "acc")), ("provider", "openai")), ("global", GLOBAL)
)
WHOSE = {
    "another account of the provider": (
        ALL,
        account("openai", "other"),
        "openai",
        None,
        "r-provider",
    ),
    "another provider": (ALL, account("groq", "other"), "groq", None, "r-global"),
    "the provider without an account": (ALL, None, "openai", None, "r-provider"),
    "nobody's": (ALL, None, None, None, "r-global"),
    "outside the combo": (ONLY_COMBO, account("groq", "x"), "groq", None, "c-global"),
    "in another combo": (ONLY_COMBO, account("groq", "x"), "groq", combo("else"), "c-global"),
    "in the combo": (ONLY_COMBO, account("groq", "x"), "groq", COMBO, "r-combo"),
}


@pytest.mark.parametrize(
    ("outbound", "who", "provider", "runs_in", "host"), WHOSE.values(), ids=WHOSE
)
def test_a_proxy_is_for_what_it_is_assigned_to(
    outbound: Outbound,
    who: Connection | None,
    provider: str | None,
    runs_in: Combo | None,
    host: str,
) -> None:
    found = resolve(outbound, who, provider, runs_in)
    assert found is not None
    assert found.proxy.host == f"{host}.test"


def test_a_socks_proxy_of_the_environment_can_be_switched_off_as_well() -> None:
    only = Outbound(environment=ENVIRONMENT, socks5=False)
    via = proxying(only).route(ACCOUNT).to("http://api.test/")
    assert via is not None
    assert via.problem == SOCKS_OFF


def test_an_inactive_proxy_is_skipped() -> None:
    resting = tuple(
        msgspec.structs.replace(row, status="inactive") if row.id == "r-account" else row
        for row in ALL.proxies
    )
    found = resolve(msgspec.structs.replace(ALL, proxies=resting), ACCOUNT, "openai", None)
    assert found is not None
    assert found.proxy.host == "r-provider.test"


def proxying(outbound: Outbound, *at_home: str) -> Proxying:
    return Proxying(outbound, {"team": COMBO}, at_home)


def test_where_nothing_is_configured_the_way_is_direct() -> None:
    ways = proxying(Outbound(proxies=(proxy("unassigned"),)))
    assert ways.route(ACCOUNT) is DIRECT
    assert ways.of_provider(None) is DIRECT
    assert ways.in_use == frozenset()


def test_a_way_out_says_what_it_is_for_and_is_worked_out_once() -> None:
    ways = proxying(ALL)
    route = ways.route(ACCOUNT, "team")
    assert route.to("https://api.test") == Via(
        proxy=OutboundProxy(type="http", host="r-account.test", port=1, allow_private=True),
        level="account",
        level_id="acc",
        proxy_id="r-account",
        provider="openai",
        connection_id="acc",
        account="acc",
        combo_id="id-team",
    )
    assert ways.route(ACCOUNT, "team") is route
    assert {one.host for one in ways.in_use} == {
        f"{name}.test" for name in ("r-account", "r-provider", "r-combo", "r-global")
    } | {f"c-{name}.test" for name in ("key", "combo", "provider", "global")}


def test_a_socks_proxy_that_is_switched_off_is_a_problem_and_not_the_direct_way() -> None:
    outbound = Outbound(
        proxies=(proxy("s", "socks5"),), assignments=(given("global", GLOBAL, "s"),), socks5=False
    )
    via = proxying(outbound).route(ACCOUNT).to("https://api.test")
    assert via is not None
    assert via.problem == SOCKS_OFF


def test_what_is_global_is_not_for_model_servers_of_this_machine() -> None:
    environment = read_environment(every="http://env.test:1")
    outbound = msgspec.structs.replace(ALL, environment=environment)
    local = account("ollama", "local")
    assert proxying(outbound, "ollama").route(local) is DIRECT
    own = msgspec.structs.replace(outbound, assignments=(given("account", "local", "r-global"),))
    assert proxying(own, "ollama").route(local).via is not None


ENVIRONMENT = read_environment(
    https="http://me:pass%20word@secure.test:3128",
    every="socks5h://all.test",
    exempt="exact.test, .below.test,*.stars.test,10.0.0.0/8,192.0.2.7,port.test:8443,[2001:db8::1]",
)
SECURE = OutboundProxy(
    type="http",
    host="secure.test",
    port=3128,
    username="me",
    password="pass word",
    allow_private=True,
)
EVERY = OutboundProxy(type="socks5", host="all.test", port=1080, allow_private=True)
ADDRESSES = {
    "https": ("https://api.test/v1", SECURE),
    "http": ("http://api.test/v1", EVERY),
    "an exempt name": ("https://exact.test/", None),
    "a name below it": ("https://a.exact.test/", None),
    "a name that ends alike": ("https://inexact.test/", SECURE),
    "an exempt suffix": ("https://a.below.test/", None),
    "an exempt suffix with a star": ("https://a.stars.test/", None),
    "capitals and a dot": ("https://EXACT.test./", None),
    "an exempt network": ("http://10.1.2.3/", None),
    "an exempt network in decimal": ("http://167838211/", None),
    "beside the network": ("http://11.1.2.3/", EVERY),
    "an exempt address": ("https://192.0.2.7/", None),
    "an exempt IPv6 address": ("https://[2001:db8::1]/", None),
    "an exempt port": ("https://port.test:8443/", None),
    "another port": ("https://port.test/", SECURE),
    "this machine": ("http://127.0.0.1:11434/", None),
    "this machine by name": ("http://localhost:11434/", None),
    "this machine, IPv6": ("http://[::1]:11434/", None),
    "no address": ("https://[x", SECURE),
}


@pytest.mark.parametrize(("url", "found"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_environment_is_read_as_others_read_it(url: str, found: OutboundProxy | None) -> None:
    assert ENVIRONMENT.proxy_for(url) == found


def test_the_environment_comes_last() -> None:
    only = Outbound(environment=ENVIRONMENT)
    assert proxying(only).route(ACCOUNT).to("https://api.test/") == Via(
        proxy=SECURE, level="global", provider="openai", connection_id="acc", account="acc"
    )
    assert proxying(only).route(ACCOUNT).to("https://exact.test/") is None
    both = msgspec.structs.replace(ALL, environment=ENVIRONMENT)
    via = proxying(both).route(account("groq", "x")).to("https://exact.test/")
    assert via is not None
    assert via.proxy.host == "r-global.test"


@pytest.mark.parametrize("exempt", ["*", "a, *"])
def test_everything_can_be_exempt(exempt: str) -> None:
    found = read_environment(every="http://p.test", exempt=exempt)
    assert found.proxy_for("https://api.test/") is None


@pytest.mark.parametrize("text", ["ftp://p.test", "http://", "http://[x", "http://p.test:x"])
def test_a_value_that_is_no_proxy_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_environment(https=text.replace("//", "//me:secret@"))
    assert refused.value.param == "HTTPS_PROXY"
    assert "secret" not in str(refused.value)


def test_an_empty_environment_is_silent() -> None:
    assert read_environment() == EnvironmentProxies()
    assert read_environment().is_silent
