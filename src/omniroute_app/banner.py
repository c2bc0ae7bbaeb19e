"""What `omniroute` prints when it is ready: what it found, where its doors are, how to connect."""

import sys
from collections.abc import Iterator
from pathlib import Path

from omniroute.engine import Engine
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute_app.settings import Settings


def banner(engine: Engine, settings: Settings) -> str:
    """The text of the banner, ready to print."""
    return "\n".join(_lines(engine, settings))


def _lines(engine: Engine, settings: Settings) -> Iterator[str]:
    url = settings.public_url
    model = "auto" if _accounts(engine) else "demo/echo"
    yield f"OmniRoute {engine.version} is ready on {url}"
    yield ""
    yield "Found"
    yield from _found(engine, settings)
    yield ""
    yield "Doors"
    yield f"  MCP    {url}/api/mcp/stream   (SSE: {url}/api/mcp/sse, stdio: {command()} mcp)"
    yield f"  A2A    {url}/a2a              (card: {url}/.well-known/agent-card.json)"
    yield f"  HTTP   {url}/v1               (OpenAI and Anthropic; docs: {url}/docs)"
    yield f"         {url}/v1beta           (Gemini)"
    yield f"         {url}/api/chat         (Ollama)"
    yield f"  Page   {url}/dashboard        (what it does; a password: {url}/dashboard/onboarding)"
    yield ""
    yield "Connect"
    yield "  MCP    claude mcp add --transport http omniroute " + f"{url}/api/mcp/stream"
    yield f"  A2A    curl -s {url}/a2a -H 'content-type: application/json' -d \\"
    yield (
        """         '{"jsonrpc":"2.0","id":1,"method":"message/send","params":"""
        f"""{{"messages":[{{"content":"Hello"}}],"metadata":{{"model":"{model}"}}}}}}'"""
    )
    yield f"  HTTP   curl -s {url}/v1/chat/completions -H 'content-type: application/json' -d \\"
    yield (f"""         '{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}'""")
    yield f"  SDKs   OPENAI_BASE_URL={url}/v1   ANTHROPIC_BASE_URL={url}"
    yield f"         GOOGLE_GEMINI_BASE_URL={url}   OLLAMA_HOST={url}"
    yield f"  Apps   {command()} setup --list   (Claude Code, Cursor, Codex and others)"
    yield ""
    yield f"Try all doors at once:  {command()} demo      Stop:  Ctrl-C"


def command() -> str:
    """How this command line is called from another terminal."""
    called = Path(sys.argv[0])
    return str(called.absolute()) if called.name == "omniroute" else "python -m omniroute_app"


def _accounts(engine: Engine) -> list[str]:
    return [name for name in engine.snapshot.accounts if name != DEMO_ACCOUNT.provider]


def _found(engine: Engine, settings: Settings) -> Iterator[str]:
    snapshot = engine.snapshot
    yield f"  data          {settings.data_dir}"
    found = engine.configuration.found
    for account in found:
        source = account.options.get("source")
        models = snapshot.models(account)
        yield f"  {account.provider:<13} {account.name} ({source}, {len(models)} models known)"
    stored = len(snapshot.connections) - len(found) - 1
    if stored > 0:
        yield f"  configured    {stored} stored accounts"
    if snapshot.combos:
        yield f"  combos        {', '.join(snapshot.combos)}"
    if not found and stored <= 0:
        yield (
            "  no accounts   the built-in demo provider answers; set OPENAI_API_KEY or another "
            "provider's key and start again, or POST /api/providers"
        )
    if engine.admission.require_key:
        yield "  keys          an API key is required on every model API"
