"""What is found without configuration."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.omniroute.conftest import Answer
from tests.support.processes import Gateway

from omniroute.catalog.providers.local import LOCAL
from omniroute.upstream.send import OutboundRequest, OutboundResponse, TransportFailed
from omniroute_app.discovery import accounts_from_environment, local_servers
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

ENVIRONMENTS = {
    "nothing": ({}, []),
    "a key": ({"OPENAI_API_KEY": "k"}, [("openai", "$OPENAI_API_KEY")]),
    "several": (
        {"ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"},
        [("anthropic", "$ANTHROPIC_API_KEY"), ("gemini", "$GEMINI_API_KEY")],
    ),
    "the better of two names": (
        {"GOOGLE_API_KEY": "k", "GEMINI_API_KEY": "k"},
        [("gemini", "$GEMINI_API_KEY")],
    ),
    "a blank key": ({"OPENAI_API_KEY": "  "}, []),
    "a key that is not enough": ({"CLOUDFLARE_API_TOKEN": "k"}, []),
    "needs that have defaults": (
        {"AWS_BEARER_TOKEN_BEDROCK": "k"},
        [
            ("bedrock", "$AWS_BEARER_TOKEN_BEDROCK"),
            ("bedrock-anthropic", "$AWS_BEARER_TOKEN_BEDROCK"),
        ],
    ),
    "needs that stand beside the key": (
        {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com/"},
        [("azure-openai", "$AZURE_OPENAI_API_KEY")],
    ),
    "keys that may be for anything": ({"AWS_SECRET_ACCESS_KEY": "k"}, []),
}


@pytest.mark.parametrize(("environ", "found"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_keys_become_accounts(environ: dict[str, str], found: list[tuple[str, str]]) -> None:
    accounts = accounts_from_environment(environ)
    assert [(row.provider, row.name) for row in accounts] == found
    assert accounts_from_environment(environ) == accounts
    assert len({row.id for row in accounts}) == len(accounts)


def test_options_stand_beside_the_key() -> None:
    (account,) = accounts_from_environment(
        {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com/"}
    )
    assert account.options["resource"] == "https://x.openai.azure.com"


@dataclass
class Ports:
    """A machine on which some ports answer."""

    answers: dict[int, bytes]
    asked: list[str] = field(default_factory=list)

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request.url)
        port = int(request.url.split(":")[2].split("/")[0])
        if port not in self.answers:
            raise TransportFailed("connect", "nobody")
        return Answer(pieces=(self.answers[port],))

    async def aclose(self) -> None:
        """Nothing is pooled."""


@pytest.mark.anyio
async def test_model_servers_on_their_usual_ports_become_accounts() -> None:
    listed = json.dumps({"models": [{"name": "llama3.2:1b"}, {"name": "qwen3:4b"}]}).encode()
    machine = Ports({11434: listed, 8000: b"<html>some other server</html>"})
    found = await local_servers(machine)
    assert [(row.provider, row.options["models"]) for row in found] == [
        ("ollama", ["llama3.2:1b", "qwen3:4b"])
    ]
    assert len(machine.asked) == len({row.probe_port for row in LOCAL})


@pytest.mark.anyio
async def test_a_found_account_is_used_and_not_stored(tmp_path: Path) -> None:
    environ = {"GROQ_API_KEY": "gsk_found"}
    for present in (environ, {}):
        settings = load_settings(present, data_dir=tmp_path)
        async with open_engine(settings, present) as engine:
            accounts = engine.snapshot.accounts.get("groq", ())
            assert [row.name for row in accounts] == (["$GROQ_API_KEY"] if present else [])


def test_found_accounts_cannot_be_deleted(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_DISCOVER": "true", "GROQ_API_KEY": "gsk_found"}
    with Gateway(tmp_path, environ=environ) as process:
        listed = httpx.get(f"{process.url}/api/providers").json()["connections"]
        found = next(row for row in listed if row["provider"] == "groq")
        gone = httpx.delete(f"{process.url}/api/providers/{found['id']}")
    assert (gone.status_code, "environment variable" in gone.json()["error"]) == (409, True)
