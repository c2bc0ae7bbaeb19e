"""A canary in every field that holds a secret: after a full run it is nowhere it must not be."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.support.databases import drop_postgres_database, dumped, new_postgres_database
from tests.support.processes import Gateway

pytestmark = pytest.mark.slow

# None of them looks like a credential, so only knowing where they are can hide them.
CANARIES = {
    name: f"canary-{name}-7f3a9c51e2d84b60"
    for name in (
        "account-key",
        "extra-key",
        "console-key",
        "aws-secret",
        "node-key",
        "node-header",
        "model-header",
        "proxy-user",
        "proxy-password",
        "layered-user",
        "layered-password",
        "password",
        "env-key",
        "environment-account",
        "storage-key",
        "api-key-secret",
        "session-secret",
    )
}
ENVIRON = {
    "OMNIROUTE_API_KEY": CANARIES["env-key"],
    "INITIAL_PASSWORD": CANARIES["password"],
    "STORAGE_ENCRYPTION_KEY": CANARIES["storage-key"],
    "API_KEY_SECRET": CANARIES["api-key-secret"],
    "JWT_SECRET": CANARIES["session-secret"],
    "GROQ_API_KEY": CANARIES["environment-account"],
    "OMNIROUTE_DISCOVER": "true",
    "APP_LOG_LEVEL": "debug",
    "ALLOW_API_KEY_REVEAL": "true",
}


class Telltale(BaseHTTPRequestHandler):
    """An upstream that repeats every credential it was sent in its error."""

    def _tell(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        told = " ".join(f"{name}={value}" for name, value in self.headers.items())
        body = ('{"error":{"message":"refused: ' + told.replace('"', "'") + '"}}').encode()
        self.send_response(500 if "fail" in self.path else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _tell  # noqa: N815 - the library finds them by these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on the terminal."""


@dataclass
class Seen:
    """Everything that came out, by where."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, where: str, text: bytes) -> None:
        self.texts[where] = text

    def leaks(self, secrets: dict[str, str]) -> list[str]:
        return sorted(
            f"{name} in {where}"
            for where, text in self.texts.items()
            for name, secret in secrets.items()
            if secret.encode() in text
        )


@pytest.fixture
def telltale() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Telltale)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    url = new_postgres_database()
    yield url
    drop_postgres_database(url)


def test_no_secret_comes_out_anywhere(tmp_path: Path, telltale: str, database: str) -> None:
    seen = Seen()
    environ = {**ENVIRON, **({"DATABASE_URL": database} if database else {})}
    headers = {"authorization": f"Bearer {CANARIES['env-key']}"}
    with (
        Gateway(tmp_path, environ=environ) as gateway,
        httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as client,
    ):

        def ask(method: str, path: str, **more: Any) -> httpx.Response:
            answer = client.request(method, path, **more)
            about = f"{method} {path} -> {answer.status_code}"
            seen.add(f"{about} ({len(seen.texts)})", answer.content + repr(answer.headers).encode())
            return answer

        secrets = dict(CANARIES)
        planted = plant(ask, telltale)
        secrets |= planted
        use(ask)
        read(ask, client)
        archive(seen, client)
        assert gateway.stop() == 0
        seen.add("standard output and error", "\n".join(gateway.lines).encode())
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file() and "secrets" not in path.relative_to(tmp_path).parts:
            seen.add(str(path.relative_to(tmp_path)), path.read_bytes())
    if database:
        seen.add("every row of PostgreSQL", dumped(database))
    assert len(seen.texts) > 120
    leaks = seen.leaks(secrets)
    assert leaks == [], "\n".join(leaks)


def plant(ask: Any, telltale: str) -> dict[str, str]:
    """Put a canary everywhere one can be put; the secrets the gateway made up on the way."""
    node = ask(
        "POST",
        "/api/provider-nodes",
        json={
            "name": "Telltale",
            "prefix": "tell",
            "apiType": "chat",
            "baseUrl": f"{telltale}/v1",
            "headers": {"x-secret": CANARIES["node-header"]},
        },
    ).json()["node"]
    account = ask(
        "POST",
        "/api/providers",
        json={
            "provider": node["id"],
            "name": "main",
            "apiKey": CANARIES["node-key"],
            "providerSpecificData": {"models": ["m", "fail"]},
        },
    ).json()["connection"]
    ask(
        "POST",
        "/api/providers",
        json={
            "provider": "openai",
            "name": "main",
            "apiKey": CANARIES["account-key"],
            "providerSpecificData": {
                "baseUrl": f"{telltale}/fail",
                "models": ["gpt-canary"],
                "extraApiKeys": [CANARIES["extra-key"]],
                "consoleApiKey": CANARIES["console-key"],
                "secretAccessKey": CANARIES["aws-secret"],
            },
        },
    )
    ask(
        "POST",
        "/api/provider-models",
        json={
            "provider": node["id"],
            "modelId": "m",
            "upstreamHeaders": {"x-model-secret": CANARIES["model-header"]},
        },
    )
    proxy = {
        "name": "way out",
        "host": "127.0.0.1",
        "port": 9,
        "username": CANARIES["proxy-user"],
        "password": CANARIES["proxy-password"],
    }
    made = ask("POST", "/v1/management/proxies", json=proxy).json()
    ask(
        "PUT",
        "/v1/management/proxies/assignments",
        json={"scope": "provider", "scopeId": "groq", "proxyId": made["id"]},
    )
    layered = {
        "host": "127.0.0.1",
        "port": 9,
        "username": CANARIES["layered-user"],
        "password": CANARIES["layered-password"],
    }
    ask("PUT", "/api/settings/proxy", json={"level": "provider", "id": "cohere", "proxy": layered})
    ask("POST", "/api/auth/login", json={"password": CANARIES["password"]})
    ask("POST", "/api/auth/login", json={"password": CANARIES["password"] + "x"})
    ask("PATCH", f"/api/providers/{account['id']}", json={"priority": 2})
    ask("POST", "/api/combos", json={"name": "all", "models": ["tell/m", "openai/gpt-canary"]})
    return {}


def use(ask: Any) -> None:
    """Requests that fail in every way, so that upstreams' errors go everywhere errors go."""
    ask("PATCH", "/api/settings", json={"callLogPayloads": {"mode": "all"}})
    for model in ("tell/m", "tell/fail", "all", "auto", "groq/llama-3.1-8b-instant"):
        said = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
        for path in ("/v1/chat/completions", "/v1/messages"):
            for stream in (False, True):
                ask("POST", path, json={**said, "stream": stream})
    ask("POST", "/api/providers/test-batch", json={"mode": "all"})
    ask("POST", "/api/combos/test", json={"comboName": "all"})
    ask(
        "POST",
        "/api/providers/validate",
        json={"provider": "openai", "apiKey": CANARIES["account-key"], "baseUrl": "http://[::1"},
    )
    ask("POST", "/api/providers", json={"provider": "openai", "apiKey": CANARIES["account-key"]})
    ask("POST", "/api/providers", content=b'{"apiKey": "' + CANARIES["account-key"].encode())


def read(ask: Any, client: httpx.Client) -> None:
    """Every route that reads, those about one thing with the id of such a thing."""
    ids = {
        "connection_id": client.get("/api/providers").json()["connections"][0]["id"],
        "node_id": client.get("/api/provider-nodes").json()["nodes"][0]["id"],
        "combo_id": client.get("/api/combos").json()["combos"][0]["id"],
        "request_id": client.get("/api/usage/call-logs").json()[0]["id"],
    }
    document = client.get("/docs/openapi.json").json()
    for path, methods in document["paths"].items():
        if "get" in methods and not path.startswith("/api/db-backups/export"):
            ask("GET", path.format_map({**dict.fromkeys(names(path), "nothing"), **ids}))
    for call in client.get("/api/usage/call-logs?limit=1000").json():
        ask("GET", f"/api/usage/call-logs/{call['id']}")
        ask("GET", f"/api/routes/{call['id']}")


def names(path: str) -> list[str]:
    """The parameters of a path."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def archive(seen: Seen, client: httpx.Client) -> None:
    """A backup on the disk, and both exports."""
    client.put("/api/db-backups")
    seen.add("export", client.get("/api/db-backups/export").content)
    packed = client.get("/api/db-backups/exportAll").content
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as files:
        for member in files.getmembers():
            content = files.extractfile(member)
            if content is not None:
                seen.add(f"exportAll/{member.name}", content.read())
