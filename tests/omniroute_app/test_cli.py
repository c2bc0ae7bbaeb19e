"""The command line: help that teaches, errors in one line, safe binds, the demo."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from tests.support.commands import called, omniroute
from tests.support.processes import Gateway


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "mcp",
        "demo",
        "upstream",
        "route",
        "route simulate",
        "route explain",
        "route replay",
        "prices",
        "prices sync",
        "config",
        "config plan",
        "config apply",
        "config check",
        "config export",
        "db",
        "db backup",
        "db restore",
        "db migrate",
        "db doctor",
        "doctor",
    ],
)
def test_help_teaches(command: str) -> None:
    done = called(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: omniroute" in done.stdout


def test_decisions_on_the_terminal(gateway: Gateway, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = omniroute("route", *arguments, "--url", gateway.url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
    reply = httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
    request_id = reply.headers["x-request-id"]
    assert "1  demo/echo  account demo  $0.000000" in said("simulate", "demo/echo", "--seed", "4")
    assert json.loads(said("simulate", "demo/echo", "--seed", "4", "--json"))["seed"] == 4
    assert "Outcome: completed" in said("explain", request_id)
    unknown = omniroute("route", "explain", "nonsense", "--url", gateway.url)
    assert (unknown.returncode, "No request with this id" in unknown.stderr) == (2, True)
    assert "bit for bit" in said("replay", request_id)
    assert "bit for bit" in said("replay", request_id, "--against", "current")
    changes = tmp_path / "changes.json"
    changes.write_text('{"settings": {"fallbackStrategy": "random"}}')
    assert "the proposed configuration" in said("replay", request_id, "--against", str(changes))
    done = omniroute("route", "replay", "nobody-knows", "--url", gateway.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@contextmanager
def price_list(document: object) -> Iterator[str]:
    """A server that answers everything with a document; its address."""
    body = json.dumps(document).encode()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_prices_are_synced_from_the_terminal(tmp_path: Path) -> None:
    document = {"gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1e-06}, "bad": 1}
    with price_list(document) as address:
        environ = {"PRICING_SYNC_LITELLM_URL": address, "PRICING_SYNC_MODELS_DEV_URL": address}
        with Gateway(tmp_path, environ=environ) as process:
            where = ("--url", process.url)
            shown = omniroute("prices", "sync", "--dry-run", *where)
            kept = omniroute("prices", "sync", "--source", "litellm", "--json", *where)
            failed = omniroute("prices", "sync", "--source", "modelsDev", *where)
    assert shown.stdout.splitlines() == [
        "1 prices at 1 providers from litellm. Nothing is kept.",
        "litellm: 1 entries could not be read and were skipped",
    ]
    assert json.loads(kept.stdout)["modelCount"] == 1
    assert (failed.returncode, failed.stderr) == (
        2,
        "omniroute: What modelsDev sent has no price in it.\n",
    )


REFUSALS = {
    "an open bind without a key": (
        ["serve", "--host", "0.0.0.0", "--port", "0"],
        {},
        "OMNIROUTE_API_KEY",
    ),
    "a port that is no number": (["serve"], {"PORT": "many"}, "PORT must be a whole number"),
    "a flag that is neither": (["serve"], {"REQUIRE_API_KEY": "maybe"}, "true or false"),
    "a blank secret": (["serve", "--port", "0"], {"API_KEY_SECRET": " "}, "API_KEY_SECRET"),
    "a database of another kind": (
        ["serve", "--port", "0"],
        {"DATABASE_URL": "mysql://x/y"},
        "postgresql://",
    ),
    "no gateway to talk to": (["demo", "--url", "http://127.0.0.1:9"], {}, "Start one with"),
    "no gateway to sync prices": (
        ["prices", "sync", "--url", "http://127.0.0.1:9"],
        {},
        "Start one with",
    ),
    "a price list nobody knows": (["serve"], {"PRICING_SYNC_SOURCES": "rumours"}, "modelsDev"),
    "no gateway to explain": (
        ["route", "explain", "x", "--url", "http://127.0.0.1:9"],
        {},
        "Start one with",
    ),
}


@pytest.mark.parametrize(("arguments", "environ", "told"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_one_line_that_says_what_to_do(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], told: str
) -> None:
    done = omniroute(*arguments, environ={"DATA_DIR": str(tmp_path), **environ})
    assert done.returncode == 2
    assert (told in done.stderr, done.stderr.count("\n")) == (True, 1), done.stderr


def test_a_taken_port_is_named(gateway: Gateway, tmp_path: Path) -> None:
    done = omniroute("serve", "--port", str(gateway.port), "--data-dir", str(tmp_path))
    assert (done.returncode, f"Port {gateway.port} is taken" in done.stderr) == (2, True)


def test_demo_goes_through_every_door(gateway: Gateway) -> None:
    done = omniroute("demo", "Knock knock.", "--url", gateway.url)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if "Knock knock." in line] == [
        "HTTP  Knock knock.",
        "MCP   Knock knock.",
        "A2A   Knock knock.",
    ]
    assert sum("Outcome: completed" in line for line in lines) == 3
    assert sum("cost $0.000000" in line for line in lines) == 3


def test_keys_in_the_environment_become_accounts(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_DISCOVER": "true", "GROQ_API_KEY": "gsk_not_a_real_key"}
    with Gateway(tmp_path, environ=environ) as process:
        assert any("groq" in line and "$GROQ_API_KEY" in line for line in process.lines)
        assert not any("gsk_not_a_real_key" in line for line in process.lines)


def test_a_key_lets_other_addresses_in(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_API_KEY": "the-environment-key"}
    with Gateway(tmp_path, environ=environ, arguments=["--host", "0.0.0.0"]) as process:
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
        path = f"{process.url}/v1/chat/completions"
        nobody = httpx.post(path, json=body)
        keyed = httpx.post(path, json=body, headers={"authorization": "Bearer the-environment-key"})
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "AUTH_002")
    assert keyed.status_code == 200
