"""The catalogue: every row is sound, and every name means one provider."""

import string
from collections import Counter

import pytest

from omniroute.catalog.models import DEFAULT_MODELS, default_model, known_models
from omniroute.catalog.names import did_you_mean, nearest
from omniroute.catalog.prices import price_of
from omniroute.catalog.provider import Auth, Provider
from omniroute.catalog.providers import DEMO, PREFIXES, PROVIDERS
from omniroute.dialects import CODECS
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.credentials import key_headers

ROWS = PROVIDERS.values()


def fields(row: Provider) -> set[str]:
    """The `{name}` fields of a row's address."""
    paths = (row.chat_path, row.models_path, row.stream_path or "", row.count_path or "")
    text = row.base_url + "".join((*paths, *row.also.values(), *row.hosts.values()))
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_name_means_one_provider() -> None:
    counted = Counter(name for row in ROWS for name in row.names)
    assert [name for name, times in counted.items() if times > 1] == []
    assert {name: row.id for name, row in PREFIXES.items()} == {
        name: row.id for row in ROWS if row.search is None for name in row.names
    }


def test_names_are_prefixes() -> None:
    odd = [name for row in ROWS for name in row.names if not name or set(name) & set("/ :\t")]
    assert odd == []


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_a_row_is_sound(row: Provider) -> None:
    self_hosted = row.search is not None and row.search.self_hosted
    hosted = row.probe_port is None and not row.in_process and not self_hosted
    assert row.source.startswith("docs/" if row.in_process else "https://")
    assert row.name.strip()
    assert not row.base_url.endswith("/")
    assert row.chat_path.startswith("/")
    assert row.models_path.startswith("/")
    if hosted:
        assert row.base_url.startswith(("https://", "{resource}"))
        assert row.resource_url is not None or "{resource}/" not in row.base_url
        assert row.auth is not Auth.NONE
        assert not row.keyless
    elif row.probe_port is not None:
        assert f"{row.base_url}/".startswith(f"http://127.0.0.1:{row.probe_port}/")
        assert row.keyless


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_every_field_of_an_address_is_asked_for_or_has_a_default(row: Provider) -> None:
    assert fields(row) - {"model"} <= {*row.needs, *row.defaults, *(["host"] if row.hosts else [])}
    assert set(row.needs) <= fields(row) | {*(row.search.options if row.search else ())}
    assert row.defaults.keys() <= fields(row)


@pytest.mark.parametrize("row", ROWS, ids=PROVIDERS)
def test_every_address_can_be_filled_in(row: Provider) -> None:
    account = Connection(
        id="a", provider=row.id, name="a", options=dict.fromkeys(row.needs, "https://filled")
    )
    for path in (row.chat_path, row.stream_path or "", *row.also.values()):
        assert "{" not in endpoint(row, account, path, "m")


def test_a_dialect_is_spoken_at_one_place() -> None:
    twice = [row.id for row in ROWS if row.dialect in row.also]
    assert twice == []
    silent = [row.id for row in ROWS for one in (row.dialect, *row.also) if one not in CODECS]
    assert silent == []


# id, first alias, base: 01 §19.1 to §19.3, as the specification lists them.
SPECIFIED = [
    line.split()
    for line in """
openai openai https://api.openai.com/v1
anthropic anthropic https://api.anthropic.com/v1
gemini gemini https://generativelanguage.googleapis.com/v1beta
mistral mistral https://api.mistral.ai/v1
codestral codestral https://codestral.mistral.ai/v1
groq groq https://api.groq.com/openai/v1
together together https://api.together.xyz/v1
fireworks fireworks https://api.fireworks.ai/inference/v1
nebius nebius https://api.tokenfactory.nebius.com/v1
nvidia nvidia https://integrate.api.nvidia.com/v1
openrouter openrouter https://openrouter.ai/api/v1
github-models ghm https://models.github.ai/inference
deepseek ds https://api.deepseek.com/v1
xai xai https://api.x.ai/v1
cohere cohere https://api.cohere.com/compatibility/v1
perplexity pplx https://api.perplexity.ai
cerebras cerebras https://api.cerebras.ai/v1
ollama-cloud ollamacloud https://ollama.com/v1
cloudflare-ai cf https://api.cloudflare.com/client/v4/accounts/{accountId}/ai/v1
huggingface hf https://router.huggingface.co/v1
vercel-ai-gateway vag https://ai-gateway.vercel.sh/v1
azure-openai azure {resource}/openai/deployments/{model}
azure-ai azure-ai https://{resource}.services.ai.azure.com/openai/v1
bedrock bedrock https://bedrock-runtime.{region}.amazonaws.com/openai/v1
vertex vertex https://{host}/v1/projects/{project}/locations/{region}/publishers/google
deepinfra deepinfra https://api.deepinfra.com/v1/openai
siliconflow siliconflow https://api.siliconflow.com/v1
hyperbolic hyp https://api.hyperbolic.xyz/v1
sambanova samba https://api.sambanova.ai/v1
moonshot moonshot https://api.moonshot.ai/v1
glm glm https://api.z.ai/api/paas/v4
glm-cn glmcn https://open.bigmodel.cn/api/paas/v4
zai zai https://api.z.ai/api/anthropic/v1
minimax minimax https://api.minimax.io/anthropic/v1
minimax-cn minimax-cn https://api.minimaxi.com/anthropic/v1
alibaba ali https://dashscope-intl.aliyuncs.com/compatible-mode/v1
alibaba-cn ali-cn https://dashscope.aliyuncs.com/compatible-mode/v1
qianfan qianfan https://qianfan.baidubce.com/v2
volcengine volcengine https://ark.cn-beijing.volces.com/api/v3
longcat lc https://api.longcat.chat/openai/v1
xiaomi-mimo mimo https://api.xiaomimimo.com/v1
meta-llama meta https://api.llama.com/compat/v1
ai21 ai21 https://api.ai21.com/studio/v1
upstage upstage https://api.upstage.ai/v1
reka reka https://api.reka.ai/v1
nous-research nous https://inference-api.nousresearch.com/v1
venice venice https://api.venice.ai/api/v1
inference-net inet https://api.inference.net/v1
lambda-ai lambda https://api.lambda.ai/v1
nscale nscale https://inference.api.nscale.com/v1
ovhcloud ovh https://oai.endpoints.kepler.ai.cloud.ovh.net/v1
scaleway scw https://api.scaleway.ai/v1
baseten baseten https://inference.baseten.co/v1
featherless-ai featherless https://api.featherless.ai/v1
friendliai friendli https://api.friendli.ai/dedicated/v1
wandb wandb https://api.inference.wandb.ai/v1
heroku heroku https://us.inference.heroku.com/v1
databricks databricks https://{workspace}/serving-endpoints
publicai publicai https://api.publicai.co/v1
morph morph https://api.morphllm.com/v1
v0-vercel v0 https://api.v0.dev/v1
synthetic synthetic https://api.synthetic.new/openai/v1
aimlapi aiml https://api.aimlapi.com/v1
nanogpt nanogpt https://nano-gpt.com/api/v1
pollinations pol https://gen.pollinations.ai/v1
replicate rep https://openai-proxy.replicate.com/v1
kilo-gateway kg https://api.kilo.ai/api/gateway
opencode-zen opencode-zen https://opencode.ai/zen/v1
llm7 llm7 https://api.llm7.io/v1
kie kie https://api.kie.ai/v1
ollama ollama http://127.0.0.1:11434
vllm vllm http://127.0.0.1:8000/v1
lm-studio lmstudio http://127.0.0.1:1234/v1
llamafile llamafile http://127.0.0.1:8080/v1
triton triton http://127.0.0.1:8000/v1
docker-model-runner dmr http://127.0.0.1:12434/v1
xinference xinference http://127.0.0.1:9997/v1
oobabooga ooba http://127.0.0.1:5000/v1
lemonade lemonade http://127.0.0.1:13305/api/v1
""".strip().splitlines()
]


@pytest.mark.parametrize(("name", "alias", "base"), SPECIFIED)
def test_every_provider_of_the_specification_is_there(name: str, alias: str, base: str) -> None:
    row = PROVIDERS[name]
    assert (row.alias or row.id, row.base_url) == (alias, base)


RESERVED = ["cx", "gc", "ag", "kr", "cu", "qw", "kmc", "cl", "kc"]


def test_prefixes_of_what_is_not_built_mean_nothing() -> None:
    assert [name for name in RESERVED if name in PREFIXES] == []


PLACES = {
    "an Azure resource by name": (
        "azure-openai",
        {"resource": "mine"},
        (
            "https://mine.openai.azure.com/openai/deployments/m/chat/completions"
            "?api-version=2024-12-01-preview"
        ),
    ),
    "an Azure resource by address": (
        "azure-openai",
        {"resource": "https://x.test", "apiVersion": "v"},
        "https://x.test/openai/deployments/m/chat/completions?api-version=v",
    ),
    "Vertex in a region": (
        "vertex",
        {"project": "p"},
        (
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1"
            "/publishers/google/models/m:generateContent"
        ),
    ),
    "Vertex everywhere": (
        "vertex",
        {"project": "p", "region": "global"},
        (
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
            "/publishers/google/models/m:generateContent"
        ),
    ),
    "Bedrock where nobody says otherwise": (
        "bedrock-anthropic",
        {},
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke",
    ),
}


@pytest.mark.parametrize(("provider", "options", "url"), PLACES.values(), ids=PLACES)
def test_where_the_clouds_are(provider: str, options: dict[str, str], url: str) -> None:
    row = PROVIDERS[provider]
    account = Connection(id="a", provider=provider, name="a", options=dict(options))
    assert endpoint(row, account, row.chat_path, "m") == url


CREDENTIALS = {
    "openai": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "azure-openai": {"api-key": "k"},
    "gemini": {"x-goog-api-key": "k"},
    "ollama": {},
}


@pytest.mark.parametrize(("provider", "headers"), CREDENTIALS.items(), ids=CREDENTIALS)
def test_a_key_goes_where_its_provider_wants_it(provider: str, headers: dict[str, str]) -> None:
    assert key_headers(PROVIDERS[provider], "k") == headers


def test_environment_variables_name_one_provider_each() -> None:
    counted = Counter(name for row in ROWS for name in row.env)
    # One key opens both ways into Bedrock.
    assert [name for name, times in counted.items() if times > 1] == ["AWS_BEARER_TOKEN_BEDROCK"]


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
