"""The catalogue: every row is sound, and every name means one provider."""

import string
from collections import Counter

import pytest

from omniroute.catalog.models import DEFAULT_MODELS, default_model, known_models
from omniroute.catalog.names import did_you_mean, nearest
from omniroute.catalog.prices import price_of
from omniroute.catalog.provider import Auth, Provider
from omniroute.catalog.providers import DEFAULT_OPTIONS, DEMO, PREFIXES, PROVIDERS
from omniroute.routing.snapshot import auth_headers, endpoint
from omniroute.storage.records import Connection

ROWS = PROVIDERS.values()


def fields(row: Provider) -> set[str]:
    """The `{name}` fields of a row's address."""
    text = row.base_url + row.chat_path + row.models_path
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_name_means_one_provider() -> None:
    counted = Counter(name for row in ROWS for name in row.names)
    assert [name for name, times in counted.items() if times > 1] == []
    assert {name: row.id for name, row in PREFIXES.items()} == {
        name: row.id for row in ROWS for name in row.names
    }


def test_names_are_prefixes() -> None:
    odd = [name for row in ROWS for name in row.names if not name or set(name) & set("/ :\t")]
    assert odd == []


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_a_row_is_sound(row: Provider) -> None:
    hosted = row.probe_port is None and not row.in_process
    assert row.source.startswith("https://" if row is not DEMO else "docs/")
    assert row.name.strip()
    assert not row.base_url.endswith("/")
    assert row.chat_path.startswith("/")
    assert row.models_path.startswith("/")
    if hosted:
        assert row.base_url.startswith(("https://", "{resource}"))
        assert row.auth is not Auth.NONE
        assert not row.keyless
    elif not row.in_process:
        assert row.base_url.startswith(f"http://127.0.0.1:{row.probe_port}/")
        assert row.keyless


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_every_field_of_an_address_is_asked_for_or_has_a_default(row: Provider) -> None:
    assert fields(row) - {"model"} <= {*row.needs, *DEFAULT_OPTIONS}
    assert set(row.needs) <= fields(row)


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_every_address_can_be_filled_in(row: Provider) -> None:
    account = Connection(
        id="a", provider=row.id, name="a", options=dict.fromkeys(row.needs, "https://filled")
    )
    assert "{" not in endpoint(row, account, row.chat_path, "m")


CREDENTIALS = {
    "openai": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "azure-openai": {"api-key": "k"},
    "ollama": {},
}


@pytest.mark.parametrize(("provider", "headers"), CREDENTIALS.items(), ids=CREDENTIALS)
def test_a_key_goes_where_its_provider_wants_it(provider: str, headers: dict[str, str]) -> None:
    account = Connection(id="a", provider=provider, name="a", api_key="k")
    assert auth_headers(PROVIDERS[provider], account) == headers


def test_environment_variables_name_one_provider_each() -> None:
    counted = Counter(name for row in ROWS for name in row.env)
    assert [name for name, times in counted.items() if times > 1] == []


def test_defaults_are_for_known_providers() -> None:
    assert set(DEFAULT_MODELS) <= set(PROVIDERS)


def test_a_default_model_has_a_price() -> None:
    priced = {
        provider: price_of(PROVIDERS[provider].prices, model) is not None
        for provider, model in DEFAULT_MODELS.items()
        if provider != DEMO.id
    }
    assert priced == dict.fromkeys(priced, True)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_models_are_listed_once(provider: str) -> None:
    listed = [model.id for model in known_models(provider)]
    assert len(listed) == len(set(listed))
    assert default_model(provider) is not None or not listed


def test_only_own_families_are_listed() -> None:
    assert {model.id for model in known_models("gemini")} == {
        model.id
        for model in known_models("gemini")
        if model.id.startswith(("gemini", "gemma", "learnlm"))
    }


def test_a_provider_nobody_lists_has_no_models() -> None:
    assert (known_models("nobody"), default_model("nobody")) == ((), None)


NEAREST = {
    "a slip": ("opnai", "openai"),
    "another case": ("OpenAI", "openai"),
    "nothing alike": ("zzz", None),
}


@pytest.mark.parametrize(("name", "expected"), NEAREST.values(), ids=NEAREST)
def test_the_nearest_name_is_found(name: str, expected: str | None) -> None:
    assert nearest(name, PROVIDERS) == expected
    assert did_you_mean(name, PROVIDERS) == (f" Did you mean '{expected}'?" if expected else "")
