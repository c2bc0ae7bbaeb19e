"""Every mistake in a file is told, with its line and the nearest name, and nothing is changed."""

import pytest

from omniroute.caller import SYSTEM
from omniroute.engine import Engine
from omniroute.operations.configuration.config_files import apply_configuration, plan_configuration
from omniroute.operations.configuration.configuration_file.document import ConfigurationRefused

pytestmark = pytest.mark.anyio

MISTAKES: dict[str, tuple[str, list[str]]] = {
    "no TOML": ("[settings]\na = \n", ["t:2:5: this is not TOML: Invalid value."]),
    "unfinished TOML": ('a = "', ["t:1:1: this is not TOML: Unterminated string."]),
    "a section": (
        "[combo]\nx = 1",
        ["t:1:1: combo is not a section of this file. Did you mean 'combos'?"],
    ),
    "a field of a combo": (
        '[combos.fast]\nmodels = ["openai/x"]\nstratgy = "auto"',
        ["t:3:1: combos.fast.stratgy is not known. Did you mean 'strategy'?"],
    ),
    "a field in a dotted key": (
        '[combos]\nfast.models = ["openai/x"]\nfast.stratgy = "auto"',
        ["t:3:6: combos.fast.stratgy is not known. Did you mean 'strategy'?"],
    ),
    "a field of an inline table": (
        'combos = { fast = { stratgy = "auto" } }',
        ["t:1:21: combos.fast.stratgy is not known. Did you mean 'strategy'?"],
    ),
    "a field of a step": (
        '[combos.fast]\nmodels = [\n  "openai/x",\n  { model = "openai/y", weigth = 1 },\n]',
        ["t:4:25: combos.fast.models.1.weigth is not known. Did you mean 'weight'?"],
    ),
    "a value that does not fit": (
        '[accounts.openai.main]\napi_key = { env = "OPENAI_KEY" }\npriority = "high"',
        ["t:3:1: accounts.openai.main.priority must be a whole number, not a text."],
    ),
    "a limit": (
        '[combos.fast]\nmodels = [{ model = "openai/x", weight = 101 }]',
        ["t:2:33: combos.fast.models.0.weight must be a number <= 100.0."],
    ),
    "a setting": (
        "[settings]\nfalbackStrategy = 'p2c'",
        ["t:2:1: settings.falbackStrategy is not a setting. Did you mean 'fallbackStrategy'?"],
    ),
    "a setting's value": (
        "[settings]\nmcpEnabled = 1",
        ["t:2:1: settings.mcpEnabled must be true or false."],
    ),
    "a provider": (
        '[accounts.opnai.main]\napi_key = { env = "OPENAI_KEY" }',
        ["t:1:11: accounts.opnai is no provider or node. Did you mean 'openai'?"],
    ),
    "a variable that is not set": (
        '[accounts.openai.main]\napi_key = { env = "OPENAI_KEI" }',
        [
            (
                "t:2:13: accounts.openai.main.api_key.env names the variable OPENAI_KEI,"
                " which is not set where the gateway runs."
            ),
        ],
    ),
    "a variable of the gateway": (
        '[accounts.openai.main]\napi_key = { env = "JWT_SECRET" }',
        [
            (
                "t:2:13: accounts.openai.main.api_key.env must not be JWT_SECRET: that variable"
                " guards the gateway itself."
            ),
        ],
    ),
    "a file elsewhere": (
        '[accounts.openai.main]\napi_key = { file = "../key" }',
        [
            (
                "t:2:13: accounts.openai.main.api_key.file must be a file in the data directory,"
                " outside 'secrets'."
            ),
        ],
    ),
    "a file of the gateway": (
        '[accounts.openai.main]\napi_key = { file = "secrets/storage-key" }',
        [
            (
                "t:2:13: accounts.openai.main.api_key.file must be a file in the data directory,"
                " outside 'secrets'."
            ),
        ],
    ),
    "a combo in itself": (
        '[combos.a]\nmodels = ["b"]\n[combos.b]\nmodels = ["a"]',
        [
            "t:2:1: combos.a.models cannot be stored: Combo 'a' refers to itself.",
            "t:4:1: combos.b.models cannot be stored: Combo 'b' refers to itself.",
        ],
    ),
    "a mapping to nothing": (
        '[combos.fast]\nmodels = []\n[mappings."gpt-*"]\ncombo = "fst"',
        ["t:4:1: mappings.\"gpt-*\".combo there is no combo 'fst'. Did you mean 'fast'?"],
    ),
    "an alias to nothing": (
        '[aliases]\nx = "opnai/y"',
        ["t:2:1: aliases.x cannot be: no provider or node is called 'opnai'."],
    ),
    "a budget of nobody": (
        "[keys.team]\n[budgets.key.taem]\ndaily_limit_usd = 1",
        ["t:2:1: budgets.key.taem there is no key of that name. Did you mean 'team'?"],
    ),
    "a budget without a limit": (
        "[keys.team]\n[budgets.key.team]\naction = 'deny'",
        ["t:2:1: budgets.key.team.daily_limit_usd is needed, or a weekly, monthly or total limit."],
    ),
    "a proxy for nothing": (
        '[proxies.p]\nhost = "p.example"\nport = 1\nfor = ["combo:no"]',
        ["t:4:8: proxies.p.for.0 There is no combo 'no'."],
    ),
    "two proxies for one thing": (
        (
            '[proxies.p]\nhost = "p.example"\nport = 1\nfor = ["global"]\n'
            '[proxies.q]\nhost = "q.example"\nport = 1\nfor = ["global"]'
        ),
        ["t:8:8: proxies.q.for.0 'global' has the proxy 'p' already."],
    ),
    "a prefix that is taken": (
        '[nodes.openai]\nname = "x"\napi_type = "chat"',
        ["t:1:1: nodes.openai is the prefix of a built-in provider; choose another."],
    ),
    "an account that is not there": (
        (
            '[keys.team]\nallowed_accounts = ["openai/mian"]\n'
            '[accounts.openai.main]\napi_key = { env = "OPENAI_KEY" }'
        ),
        [
            (
                "t:2:21: keys.team.allowed_accounts.0 'openai/mian' is no account; write"
                " 'provider/name'. Did you mean 'openai/main'?"
            )
        ],
    ),
    "a kind of record": (
        "[retention.days]\ncallLog = 3",
        ["t:2:1: retention.days.callLog is no kind of record. Did you mean 'callLogs'?"],
    ),
    "an address": (
        '[ip_filter]\nblacklist = ["10.0.0.1", "x"]',
        [
            (
                "t:2:26: ip_filter.blacklist.1 must be an address, a network such as 10.0.0.0/8, or"
                " a beginning such as 10.1.*."
            )
        ],
    ),
    "everything at once": (
        "[settings]\nx = 1\n[combos.a]\nb = 1\n[keys.k]\nc = 1\n[prices.openai.m]\ninput = -1",
        [
            "t:2:1: settings.x is not a setting.",
            "t:4:1: combos.a.b is not known.",
            "t:6:1: keys.k.c is not known.",
            "t:8:1: prices.openai.m.input must be a number >= 0.0.",
        ],
    ),
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_is_told_with_its_place(engine: Engine, text: str, told: list[str]) -> None:
    for operation in (plan_configuration, apply_configuration):
        with pytest.raises(ConfigurationRefused) as refused:
            await operation(engine, SYSTEM, text, name="t")
        assert str(refused.value).split("\n") == told
    assert engine.snapshot.version == 0


NOTICES: dict[str, tuple[str, str]] = {
    "a secret in clear": (
        '[accounts.openai.main]\napi_key = "sk-1"',
        (
            "t:2:1: accounts.openai.main.api_key stands there in clear;"
            ' write { env = "NAME" } instead.'
        ),
    ),
    "a step to nowhere": (
        '[combos.a]\nmodels = ["openai/x", "opnai/x"]',
        (
            "t:2:23: combos.a.models.1 is skipped: there is no provider or node 'opnai'."
            " Did you mean 'openai'?"
        ),
    ),
}


@pytest.mark.parametrize(("text", "told"), NOTICES.values(), ids=NOTICES)
async def test_what_is_no_error_and_worth_a_look_is_told(
    engine: Engine, text: str, told: str
) -> None:
    plan = await plan_configuration(engine, SYSTEM, text, name="t")
    assert [one.text for one in plan.warnings] == [told]
