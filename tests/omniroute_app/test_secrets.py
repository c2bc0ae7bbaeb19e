"""The storage key rotated beside running gateways, on the command line and over HTTP."""

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.support.commands import omniroute
from tests.support.processes import Gateway
from tests.support.small_upstream import SmallUpstream, small_upstream

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOSS = "key-of-the-environment"
ENVIRON = {"OMNIROUTE_API_KEY": BOSS}
HEADERS = {"authorization": f"Bearer {BOSS}"}


def secrets(data_dir: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    done = omniroute("secrets", *arguments, "--data-dir", str(data_dir), environ=environ)
    return done.returncode, done.stdout, done.stderr


async def ask(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    async with httpx.AsyncClient(base_url=gateway.url, headers=HEADERS, timeout=30) as client:
        answer = await client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def chat(gateway: Gateway, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    await ask(gateway, "POST", "/v1/chat/completions", body)


async def upstream_of(gateway: Gateway, prefix: str, upstream: SmallUpstream, key: str) -> None:
    """A custom upstream with an account."""
    node = {
        "name": prefix,
        "prefix": prefix,
        "baseUrl": upstream.url,
        "type": "openai-compatible",
        "apiType": "chat",
    }
    made = await ask(gateway, "POST", "/api/provider-nodes", node)
    account = {"provider": made["node"]["id"], "name": prefix, "apiKey": key}
    await ask(gateway, "POST", "/api/providers", account)


async def test_gateways_on_one_directory_take_new_keys_over(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with small_upstream() as upstream:
            with (
                Gateway(tmp_path, environ=ENVIRON) as one,
                Gateway(tmp_path, environ=ENVIRON) as two,
            ):
                await upstream_of(one, "first", upstream, "sk-first")
                path = "/api/settings/encryption"
                rotated = await ask(one, "POST", f"{path}/rotate")
                # Two reads everything again, and seals under a key that was made without it.
                await upstream_of(two, "second", upstream, "sk-second")
                await chat(two, "first/tiny")
                status = await ask(two, "GET", path)
                assert status["currentKey"] == rotated["currentKey"] != rotated["previousKey"]
                assert [one["use"] for one in status["keys"]] == ["current"]
                # The command line does it beside both.
                code, out, err = await anyio.to_thread.run_sync(secrets, tmp_path, "rotate")
                assert code == 0, err
                assert ("Sealed anew under key" in out, "rows so far" in err) == (True, True)
                await chat(one, "first/tiny")
                await upstream_of(one, "third", upstream, "sk-third")
                assert (one.stop(), two.stop()) == (0, 0)
            code, out, _ = await anyio.to_thread.run_sync(secrets, tmp_path, "status", "--json")
            found = json.loads(out)
            assert (code, found["unreadable"], len(found["keys"])) == (0, [], 1)
            assert found["currentKey"] not in rotated.values()
            upstream.asked.clear()
            with Gateway(tmp_path, environ=ENVIRON) as again:
                for prefix in ("first", "second", "third"):
                    await chat(again, f"{prefix}/tiny")
            keys = [key for path, key in upstream.asked if path.endswith("/chat/completions")]
            assert keys == ["sk-first", "sk-second", "sk-third"]


def test_the_command_line_says_what_it_found_and_did(tmp_path: Path) -> None:
    code, out, _ = secrets(tmp_path, "status")
    assert (code, "none under way" in out, "current" in out) == (0, True, True)
    code, out, _ = secrets(tmp_path, "rotate", "--keep-old")
    assert (code, "secrets/storage-key.retired-" in out) == (0, True)
    before = (tmp_path / "secrets/session-secret").read_text()
    code, out, _ = secrets(tmp_path, "rotate", "--sessions")
    assert (code, out) == (0, "All browser sessions are over.\n")
    assert (tmp_path / "secrets/session-secret").read_text() != before
    code, _, err = secrets(tmp_path, "rotate", "--sessions", "--keep-old")
    assert (code, "--keep-old is about the storage key" in err) == (2, True)
    code, _, err = secrets(tmp_path, "rotate", "--sessions", JWT_SECRET="x" * 32)
    assert (code, "JWT_SECRET" in err) == (2, True)
