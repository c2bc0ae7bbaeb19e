"""Which models are listed, for whom, and in which state."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound
from omniroute.operations.accounts.account_models import NOT_ASKED
from omniroute.operations.accounts.connections import (
    ConnectionInput,
    create_connection,
    delete_connection,
    get_connection,
)
from omniroute.operations.accounts.nodes import NodeInput, create_node
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.models.custom_models import ModelChange, add_custom_model
from omniroute.operations.models.models import (
    CatalogModel,
    ModelPricing,
    ModelsQuery,
    get_model,
    list_models,
    list_models_catalog,
)
from omniroute.operations.system.health import get_health
from omniroute.routing.resilience.health import BREAKER_RESET_MS, Breaker, Cooldown

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="http", is_operator=True)


async def add(engine: Engine, provider: str, *models: str, **more: Any) -> str:
    """An account that serves `models`; its id."""
    made = await create_connection(
        engine,
        OPERATOR,
        ConnectionInput(
            provider=provider,
            name=f"{provider} account",
            api_key="sk-0123456789abcdef",
            provider_specific_data={"models": list(models)} if models else {},
            **more,
        ),
    )
    return made.id


async def ids(engine: Engine, caller: Caller = OPERATOR) -> list[str]:
    """Listed ids, the demo's left out."""
    listed = [entry.id for entry in await list_models(engine, caller)]
    return [one for one in listed if not one.startswith("demo/")]


async def test_combos_come_first_then_models_by_every_name_of_their_provider(
    engine: Engine,
) -> None:
    await add(engine, "deepseek", "one")
    await create_combo(engine, OPERATOR, ComboInput(name="mine", models=["ds/one"]))
    assert await ids(engine) == ["mine", "ds/one", "deepseek/one"]
    entries = {entry.id: entry for entry in await list_models(engine, OPERATOR)}
    assert (entries["mine"].owned_by, entries["deepseek/one"].parent) == ("combo", "ds/one")


async def test_a_node_is_listed_by_its_prefix_only(engine: Engine) -> None:
    node = NodeInput(name="N", prefix="near", api_type="chat", base_url="http://127.0.0.1:9/v1")
    made = await create_node(engine, OPERATOR, node)
    await add(engine, made.id, "m")
    assert await ids(engine) == ["near/m"]
    entry = await get_model(engine, OPERATOR, "near/m")
    assert (entry.owned_by, entry.custom) == ("near", True)


async def test_a_default_model_is_listed_even_where_nobody_else_names_it(engine: Engine) -> None:
    await add(engine, "deepseek", "one", default_model="two")
    assert await ids(engine) == ["ds/one", "deepseek/one", "ds/two", "deepseek/two"]


SEEN = {
    "no restriction": ((), ["mine", "ds/one", "deepseek/one"]),
    "by its alias": (("ds/*",), ["ds/one"]),
    "by its bare name": (("one",), ["ds/one", "deepseek/one"]),
    "a combo": (("mine",), ["mine"]),
    "nothing of it": (("other/*",), []),
}


@pytest.mark.parametrize(("allowed", "listed"), SEEN.values(), ids=SEEN)
async def test_a_key_sees_what_it_may_use(
    engine: Engine, allowed: tuple[str, ...], listed: list[str]
) -> None:
    await add(engine, "deepseek", "one")
    await create_combo(engine, OPERATOR, ComboInput(name="mine", models=["ds/one"]))
    assert await ids(engine, Caller(door="http", key_id="k", allowed_models=allowed)) == listed


async def test_a_model_that_is_not_listed_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound, match="Did you mean 'demo/echo'"):
        await get_model(engine, OPERATOR, "demo/ecko")


def trip(engine: Engine, *, ago_ms: int) -> None:
    engine.health._breakers = {
        "deepseek": Breaker(failures=12, last_failure_ms=engine.now_ms() - ago_ms, tripped=True)
    }


STATES = {
    "sound": (None, "available"),
    "failing": (0, "unavailable"),
    "about to be tried again": (2 * BREAKER_RESET_MS, "degraded"),
}


@pytest.mark.parametrize(("ago_ms", "status"), STATES.values(), ids=STATES)
async def test_the_catalogue_tells_state_and_price(
    engine: Engine, ago_ms: int | None, status: Any
) -> None:
    await add(engine, "deepseek", "deepseek-chat")
    if ago_ms is not None:
        trip(engine, ago_ms=ago_ms)
    found = await list_models_catalog(engine, OPERATOR, ModelsQuery(provider="ds"))
    (row,) = found.models
    assert row.pricing is not UNSET
    assert msgspec.structs.replace(row, pricing=UNSET) == CatalogModel(
        id="ds/deepseek-chat", provider="deepseek", status=status
    )


async def test_the_demo_is_free_and_what_nobody_prices_is_unknown(engine: Engine) -> None:
    await add(engine, "nvidia", "m")
    found = await list_models_catalog(engine, OPERATOR, ModelsQuery())
    prices = {row.id: row.pricing for row in found.models}
    assert (prices["demo/echo"], prices["nvidia/m"]) == (ModelPricing(0.0, 0.0), UNSET)


async def test_one_provider_says_itself_what_it_has(engine: Engine) -> None:
    asked = await list_models_catalog(engine, OPERATOR, ModelsQuery(provider="demo"))
    assert (asked.source, asked.warning) == ("local_catalog", NOT_ASKED)
    await add(engine, "deepseek", "one")
    known = await list_models_catalog(engine, OPERATOR, ModelsQuery(provider="ds"))
    assert ([row.id for row in known.models], known.source) == (["ds/one"], "cache")
    stranger = Caller(door="mcp", key_id="k")
    told = await list_models_catalog(engine, stranger, ModelsQuery(provider="ds"))
    assert ([row.id for row in told.models], told.source) == (["ds/one"], "local_catalog")
    nothing = await list_models_catalog(engine, OPERATOR, ModelsQuery(provider="groq"))
    assert nothing.models == ()
    assert nothing.warning == "No account of 'groq' is set up, so nothing of it can be asked for."


async def test_models_of_an_operator_say_what_they_can_do(engine: Engine) -> None:
    await add(engine, "deepseek", "chatty")
    new = ModelChange(
        provider="deepseek", model_id="pictures", supported_endpoints=("images-generations",)
    )
    await add_custom_model(engine, OPERATOR, new)
    found = await list_models_catalog(engine, OPERATOR, ModelsQuery(capability="image"))
    assert [(row.id, row.capabilities) for row in found.models] == [("ds/pictures", ("image",))]


async def test_what_the_catalogue_has_nothing_of_is_empty_and_strangers_are_named(
    engine: Engine,
) -> None:
    assert (
        await list_models_catalog(engine, OPERATOR, ModelsQuery(capability="image"))
    ).models == ()
    with pytest.raises(InvalidRequest, match="Did you mean 'deepseek'"):
        await list_models_catalog(engine, OPERATOR, ModelsQuery(provider="deepsek"))


async def test_an_account_shows_the_pause_it_is_in_and_a_new_key_ends_it(engine: Engine) -> None:
    made = await add(engine, "deepseek")
    until_ms = engine.now_ms() + 60_000
    engine.health._cooldowns = {
        made: Cooldown(
            until_ms=until_ms, level=2, reason="rate_limited", message="slow down", status=429
        )
    }
    shown = await get_connection(engine, OPERATOR, made)
    told = (shown.test_status, shown.last_error_type, shown.error_code, shown.backoff_level)
    assert told == ("unavailable", "rate_limited", "429", 2)
    assert await add(engine, "deepseek") == made
    again = await get_connection(engine, OPERATOR, made)
    assert (again.test_status, again.last_error_type) == ("unknown", msgspec.UNSET)


async def test_the_demo_account_is_nobodys_to_see_or_delete(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await get_connection(engine, OPERATOR, "demo")
    with pytest.raises(NotFound):
        await delete_connection(engine, OPERATOR, "demo")


async def test_only_operators_are_told_which_account_is_cooling(engine: Engine) -> None:
    cooling = Cooldown(
        until_ms=engine.now_ms() + 60_000, level=1, reason="rate_limited", message="", status=429
    )
    engine.health._cooldowns = {"secret-id": cooling}
    shown = [
        (await get_health(engine, caller)).cooldowns[0].connection
        for caller in (OPERATOR, Caller(door="http"))
    ]
    assert shown == ["secret-id", "hidden"]
