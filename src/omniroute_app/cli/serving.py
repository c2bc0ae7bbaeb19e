"""`omniroute serve|mcp|demo|upstream`: what runs in this process."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from omniroute_app.cli.output import say
from omniroute_app.cli.where import HERE, Where

DataDir = Annotated[
    Path | None, Parameter(help="Where everything is kept (DATA_DIR). Default: ~/.omniroute")
]


def serve(
    *,
    host: Annotated[
        str | None,
        Parameter(help="Address to listen on. Anything but loopback needs an API key to exist."),
    ] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. Default: 20128")] = None,
    data_dir: DataDir = None,
    config: Annotated[
        Path | None,
        Parameter(
            help="Configuration file to apply at start, and again on SIGHUP (OMNIROUTE_CONFIG)."
        ),
    ] = None,
) -> None:
    """Serve all doors until Ctrl-C; running streams may finish.

    Example: omniroute serve --port 8080
    """
    from omniroute_app.settings import load_settings

    settings = load_settings(
        os.environ, host=host, port=port, data_dir=data_dir, config_file=config
    )
    # What a start makes is kept. Looking through it over and over is a fifth of the time until
    # the first answer; whoever serves switches the collector on again.
    gc.disable()
    from omniroute_app.logs import configure_logs, file_of
    from omniroute_app.runner import run
    from omniroute_app.serve import serve as serve_until_stopped

    configure_logs(settings.log_level, settings.log_format, file_of(settings))
    if run(serve_until_stopped(settings, say)) and settings.self_restart:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def mcp(*, data_dir: DataDir = None) -> None:
    """Serve MCP on standard input and output, for clients that start their servers.

    Nothing but protocol goes to standard output.

    Example: claude mcp add omniroute -- omniroute mcp
    """
    from omniroute_app.settings import load_settings

    settings = load_settings(os.environ, data_dir=data_dir)
    gc.disable()  # as in `serve`
    from omniroute_app.logs import configure_logs
    from omniroute_app.runner import run
    from omniroute_app.stdio import serve_stdio

    configure_logs(settings.log_level, settings.log_format)
    run(serve_stdio(settings))


def demo(
    text: Annotated[str, Parameter(help="What to say.")] = "Hello from every door.",
    /,
    *,
    model: Annotated[
        str, Parameter(help="Model or combo. The default costs nothing and needs no key.")
    ] = "demo/echo",
    where: Where = HERE,
) -> None:
    """Send one request through each door of the running gateway.

    Prints the answers with target, cost and the reasons of the route.

    Example: omniroute demo "Say hello" --model auto
    """
    from omniroute_app.cli.credentials import found_gateway
    from omniroute_app.demo import demo as send_through_all_doors
    from omniroute_app.runner import run

    found = found_gateway(where)
    run(send_through_all_doors(found.url, found.headers, model, text, say))


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

    Example: omniroute upstream --port 20129
    """
    from omniroute_app.runner import run
    from omniroute_app.serve import serve_upstream

    run(serve_upstream(host, port, say))
