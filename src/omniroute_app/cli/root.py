"""The commands as rows, and the entry point of the process.

Modules of commands are imported when their command is called, and heavy modules inside it, so
that help is instant.
"""

import contextlib
import os
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass

from cyclopts import App, CycloptsError, Group, Parameter

from omniroute import __version__
from omniroute.errors import OmniRouteError
from omniroute_app.cli.serving import serve

_ROOM = "omniroute_app.cli"
RUN, ASK, MANAGE, KEEP, CONNECT = (
    Group(name, sort_key=place)
    for place, name in enumerate(("Run", "Ask", "Manage", "Keep", "Connect"))
)


@dataclass(frozen=True, slots=True)
class Row:
    """One command: where its function or group is, and its line in the list."""

    name: str
    place: str
    help: str
    group: Group


COMMANDS = (
    Row("serve", "serving:serve", "Serve all doors until Ctrl-C.", RUN),
    Row("mcp", "serving:mcp", "Serve MCP on standard input and output.", RUN),
    Row("upstream", "serving:upstream", "Run the demo provider as a server of its own.", RUN),
    Row("demo", "serving:demo", "Send one request through each door.", ASK),
    Row("status", "health:status", "How the gateway is, and what it is busy with.", ASK),
    Row("health", "health:health", "Vital signs, breakers and cooldowns.", ASK),
    Row("runs", "runs:app", "What one undertaking caused, as a tree.", ASK),
    Row("route", "route:app", "Why requests go where they go.", ASK),
    Row("usage", "usage:usage", "What was used and what it cost.", ASK),
    Row("logs", "logs:logs", "The calls of the gateway, as they were and as they come.", ASK),
    Row("audit", "audit:audit", "What was done to the gateway, and by whom.", ASK),
    Row("providers", "providers:app", "Accounts of providers.", MANAGE),
    Row("models", "models:app", "Models and their aliases.", MANAGE),
    Row("combos", "combos:app", "Named lists of targets.", MANAGE),
    Row("keys", "keys:app", "Keys of the gateway itself.", MANAGE),
    Row("budget", "budget:app", "What keys, sessions, runs and tasks may spend.", MANAGE),
    Row("nodes", "nodes:app", "Upstreams of your own.", MANAGE),
    Row("proxies", "proxies:app", "Outbound proxies and what they are for.", MANAGE),
    Row("prices", "prices:app", "What models cost.", MANAGE),
    Row("settings", "settings:app", "What can be changed while the gateway runs.", MANAGE),
    Row("setup", "setup:setup", "Point Claude Code, Cursor, Codex and others here.", CONNECT),
    Row("login", "login:login", "Sign in to a gateway elsewhere, and be remembered.", CONNECT),
    Row("logout", "login:logout", "Forget a sign-in.", CONNECT),
    Row("config", "config:config", "The whole configuration in one file.", KEEP),
    Row("db", "db:db", "Look after the database, without a gateway.", KEEP),
    Row("secrets", "secrets:app", "The keys that guard what is stored, and new ones.", KEEP),
    Row("doctor", "db:doctor", "Look the data directory over, and repair it.", KEEP),
    Row("completion", "completion:completion", "Print or install shell completion.", CONNECT),
)
"""Every command, in the order of the help."""

_HELP = (
    "One local-first gateway between agents and models.\n\n"
    "Without a command it serves: MCP, A2A and the OpenAI, Anthropic, Gemini and Ollama APIs "
    "on http://localhost:20128. Provider keys in the environment (OPENAI_API_KEY, "
    "ANTHROPIC_API_KEY, GEMINI_API_KEY, ...) and local model servers are used as found.\n\n"
    "The other commands talk to the gateway that runs on this machine, or to the one that --url "
    "names.\n\n"
    "Example: omniroute serve --port 8080"
)


def build(told: Container[str] = ()) -> App:
    """All commands. Those in `told` have their whole help and not the line of the list, which
    costs the import of their module when the list is shown."""
    app = App(
        name="omniroute",
        version=__version__,
        help=_HELP,
        help_format="plaintext",
        default_parameter=Parameter(negative_iterable=()),
    )
    app.default(serve)
    for row in COMMANDS:
        line = {} if row.name in told else {"help": row.help}
        app.command(f"{_ROOM}.{row.place}", name=row.name, group=row.group, **line)
    return app


def main() -> None:
    """Entry point of the process: errors of the tree are one line and exit code 2."""
    code = run(sys.argv[1:])
    # All is closed and stored by now. Taking the interpreter apart object by object would only
    # keep whoever waits for this process.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(words: Sequence[str]) -> int:
    """Run one command to its end; the exit code."""
    arguments = ["mcp" if word == "--mcp" else word for word in words]
    try:
        _require_known(arguments)
        build(arguments[:1])(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _told(f"{' '.join(str(error).split())} See: {_called(arguments)} --help")
    except OmniRouteError as error:
        return _told(str(error))
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    return 0


def _require_known(arguments: list[str]) -> None:
    """The default command takes no words, so a first word is meant as a command.

    Raises:
        InvalidRequest: there is no such command; names the nearest.
    """
    known = [row.name for row in COMMANDS]
    if arguments and not arguments[0].startswith("-") and arguments[0] not in known:
        from omniroute.catalog.names import did_you_mean
        from omniroute.errors import InvalidRequest

        guess = did_you_mean(arguments[0], known)
        raise InvalidRequest(f"There is no command '{arguments[0]}'.{guess} See: omniroute --help")


def _told(error: str) -> int:
    sys.stderr.write(f"omniroute: {error}\n")
    return 2


def _called(arguments: list[str]) -> str:
    known = {row.name for row in COMMANDS}
    return f"omniroute {arguments[0]}" if arguments and arguments[0] in known else "omniroute"
