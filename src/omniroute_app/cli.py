"""The command line. Heavy modules are imported inside commands, so that help is instant."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from omniroute import __version__
from omniroute.errors import OmniRouteError
from omniroute_app.db_commands import db, doctor

if TYPE_CHECKING:
    from omniroute_app.decisions import Asking

app = App(
    name="omniroute",
    version=__version__,
    help=(
        "One local-first gateway between agents and models.\n\n"
        "Without a command it serves: MCP, A2A and the OpenAI, Anthropic, Gemini and Ollama APIs "
        "on http://localhost:20128. Provider keys in the environment (OPENAI_API_KEY, "
        "ANTHROPIC_API_KEY, GEMINI_API_KEY, ...) and local model servers are used as found."
    ),
)

DataDir = Annotated[
    Path | None, Parameter(help="Where everything is kept (DATA_DIR). Default: ~/.omniroute")
]


@app.default
@app.command
def serve(
    *,
    host: Annotated[
        str | None,
        Parameter(help="Address to listen on. Anything but loopback needs an API key to exist."),
    ] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. Default: 20128")] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve all doors until Ctrl-C; running streams may finish."""
    from omniroute_app.logs import configure_logs, file_of
    from omniroute_app.runner import run
    from omniroute_app.serve import serve as serve_until_stopped
    from omniroute_app.settings import load_settings

    settings = load_settings(os.environ, host=host, port=port, data_dir=data_dir)
    configure_logs(settings.log_level, settings.log_format, file_of(settings))
    if run(serve_until_stopped(settings, _say)) and settings.self_restart:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


@app.command
def mcp(*, data_dir: DataDir = None) -> None:
    """Serve MCP on standard input and output, for clients that start their servers.

    Nothing but protocol goes to standard output.
    """
    from omniroute_app.logs import configure_logs
    from omniroute_app.runner import run
    from omniroute_app.settings import load_settings
    from omniroute_app.stdio import serve_stdio

    settings = load_settings(os.environ, data_dir=data_dir)
    configure_logs(settings.log_level, settings.log_format)
    run(serve_stdio(settings))


@app.command
def demo(
    text: Annotated[str, Parameter(help="What to say.")] = "Hello from every door.",
    *,
    url: Annotated[str | None, Parameter(help="Where the gateway is.")] = None,
    model: Annotated[
        str, Parameter(help="Model or combo. The default costs nothing and needs no key.")
    ] = "demo/echo",
    key: Annotated[
        str | None, Parameter(help="API key, when the gateway asks for one (OMNIROUTE_API_KEY).")
    ] = None,
) -> None:
    """Send one request through each door of the running gateway.

    Prints the answers with target, cost and the reasons of the route.
    """
    from omniroute_app.demo import demo as send_through_all_doors
    from omniroute_app.runner import run
    from omniroute_app.settings import load_settings

    settings = load_settings(os.environ)
    base_url = (url or settings.public_url).rstrip("/")
    run(send_through_all_doors(base_url, key or settings.api_key, model, text, _say))


app.command(db)
app.command(doctor)

route = App(
    name="route",
    help=(
        "Why requests go where they go.\n\n"
        "Asks a running gateway: what would happen (simulate), what happened (explain), and what "
        "would happen now (replay). Take the id from the `x-request-id` header of an answer."
    ),
)
app.command(route)

Url = Annotated[str | None, Parameter(help="Where the gateway is.")]
Key = Annotated[
    str | None, Parameter(help="API key, when the gateway asks for one (OMNIROUTE_API_KEY).")
]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]


@route.command
def simulate(
    model: Annotated[str, Parameter(help="Model, combo or auto.")],
    *,
    tokens: Annotated[int, Parameter(help="How many tokens the prompt has.")] = 1_000,
    seed: Annotated[int | None, Parameter(help="Repeat the draws of an earlier plan.")] = None,
    url: Url = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show the plan a request would get right now. Nothing is sent."""
    _asking(url, key, as_json=json).simulate(model, tokens, seed)


@route.command
def explain(
    request_id: Annotated[str, Parameter(help="The `x-request-id` of an answer.")],
    *,
    url: Url = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Say why a past request went where it went, attempt by attempt."""
    _asking(url, key, as_json=json).explain(request_id)


@route.command
def replay(
    request_id: Annotated[str, Parameter(help="The `x-request-id` of an answer.")],
    *,
    against: Annotated[
        str,
        Parameter(
            help="What to plan with: `trace` itself, the `current` configuration, or a JSON file "
            "of changes to it (combos, withoutCombos, settings, pricing), which are not stored."
        ),
    ] = "trace",
    url: Url = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Plan a past request again and show what differs, and what it would cost."""
    _asking(url, key, as_json=json).replay(request_id, against)


prices = App(name="prices", help="What models cost, as a running gateway knows it.")
app.command(prices)


@prices.command
def sync(
    *,
    source: Annotated[
        list[Literal["litellm", "modelsDev"]] | None,
        Parameter(help="Which list; may be given again. Default: those of PRICING_SYNC_SOURCES."),
    ] = None,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Show what the lists say and keep nothing.")
    ] = False,
    url: Url = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Ask public price lists for prices. What operators have stated holds against them."""
    _asking(url, key, as_json=json).sync_prices(source, dry_run=dry_run)


def _asking(url: str | None, key: str | None, *, as_json: bool) -> "Asking":
    from omniroute_app.decisions import Asking
    from omniroute_app.settings import load_settings

    settings = load_settings(os.environ)
    base_url = (url or settings.public_url).rstrip("/")
    return Asking(base_url, key or settings.api_key, _say, as_json=as_json)


@app.command
def upstream(
    *,
    port: Annotated[int, Parameter(help="Port to listen on.")] = 20129,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the demo provider as a server of its own.

    Speaks OpenAI Chat on /v1/chat/completions and Anthropic Messages on /v1/messages.
    Models script its behaviour: echo, tools, reasoning, slow-50, slow-start-2000, flaky-500,
    flaky-429-7, malformed, cut-after-5, drop-after-5, error-after-5, count-100, empty.
    /v1/quota/15 says that 15 % of a quota is left, /v1/quota/flaky-503 fails.
    """
    from omniroute_app.runner import run
    from omniroute_app.serve import serve_upstream

    run(serve_upstream(host, port, _say))


def _say(text: str) -> None:
    """Print at once, also into a pipe or a file."""
    print(text, flush=True)


def main() -> None:
    """Entry point of the process: errors of the tree are one line and exit code 2."""
    code = _exit_code()
    # All is closed and stored by now. Taking the interpreter apart object by object would only
    # keep whoever waits for this process.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _exit_code() -> int:
    arguments = ["mcp" if token == "--mcp" else token for token in sys.argv[1:]]  # noqa: S105
    try:
        app(arguments)
    except OmniRouteError as error:
        sys.stderr.write(f"omniroute: {error}\n")
        return 2
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    return 0
