"""`omniroute setup CLIENT`: points another program at the gateway, and back."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from omniroute_app.cli.where import Where
from omniroute_app.cli.words import Yes

if TYPE_CHECKING:
    from omniroute_app.setup.clients import Client
    from omniroute_app.setup.places import Machine
    from omniroute_app.setup.plan import Change
    from omniroute_app.setup.puts import Facts


def setup(
    client: Annotated[
        str | None,
        Parameter(
            help="claude-code, claude-desktop, cursor, vscode, cline, codex, gemini, zed, "
            "continue or opencode."
        ),
    ] = None,
    /,
    *,
    list_: Annotated[
        bool, Parameter(name="--list", negative=(), help="Which clients are here, and point here.")
    ] = False,
    only: Annotated[
        Literal["mcp", "models"] | None, Parameter(help="Only the tools, or only the models.")
    ] = None,
    model: Annotated[
        str | None, Parameter(help="The model to ask for. Default: the client's own, or auto.")
    ] = None,
    key: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="Key for the client to show; - reads a line."),
    ] = None,
    new_key: Annotated[
        bool, Parameter(negative=(), help="Make a key for the client and write it.")
    ] = False,
    print_: Annotated[
        bool, Parameter(name="--print", negative=(), help="Show what would change, and stop.")
    ] = False,
    undo: Annotated[bool, Parameter(negative=(), help="Put back what was there before.")] = False,
    force: Annotated[
        bool, Parameter(negative=(), help="With --undo: also when the file was changed since.")
    ] = False,
    yes: Yes = False,
    url: Annotated[
        str | None, Parameter(help="Where the gateway is. Default: the one that runs here.")
    ] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="Data directory of the gateway here (DATA_DIR).")
    ] = None,
    json: Annotated[bool, Parameter(negative=(), help="With --list: print JSON.")] = False,
) -> None:
    """Point a client at the gateway: its tools (MCP) and its models.

    Shows what changes in which file, asks, keeps a backup beside the file, and leaves everything
    else in it as it is. What it did it can undo.

    Example: omniroute setup claude-code --new-key
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.credentials import found_gateway
    from omniroute_app.setup.places import Machine, system_of
    from omniroute_app.setup.plan import client_named
    from omniroute_app.setup.puts import Facts

    where = Where(url, None, data_dir)
    found = found_gateway(where)
    machine = Machine(system_of(sys.platform), str(Path.home()), os.environ)
    facts = Facts(found.url, None, model, _command(data_dir))
    if list_:
        _list(facts, machine, as_json=json)
        return
    if client is None:
        raise InvalidRequest("Name a client, such as claude-code. See: omniroute setup --list")
    chosen = client_named(client)
    if undo:
        _undo(chosen, machine, found.data_dir, only, force=force)
        return
    shown = _key(where, chosen, key, new_key=new_key and not print_)
    facts = Facts(found.url, shown, model, facts.command)
    _apply(chosen, facts, machine, found.data_dir, only, print_=print_, yes=yes)


def _apply(
    client: "Client",
    facts: "Facts",
    machine: "Machine",
    data_dir: Path,
    only: Literal["mcp", "models"] | None,
    *,
    print_: bool,
    yes: bool,
) -> None:
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.output import confirm, say
    from omniroute_app.setup.files import Notes, write
    from omniroute_app.setup.plan import changes, wanted

    if not list(wanted(client, only)):
        raise InvalidRequest(f"{client.name} has no file for that. {_note(client, facts)}")
    needed = [change for change in changes(client, facts, machine, only) if change.is_needed]
    _show(needed, facts)
    if not needed:
        say(f"{client.name} points at {facts.url} already.")
    if print_ or not needed:
        return
    confirm(f"Write {', '.join(str(change.path) for change in needed)}?", yes=yes)
    notes = Notes(data_dir)
    for change in needed:
        backup = write(change.path, change.old, change.new, notes)
        kept = f"; what was there is in {backup.name}" if backup else ""
        say(f"Wrote {change.path}{kept}.")
    say(f"{_note(client, facts)} Undo: omniroute setup {client.id} --undo".strip())


def _show(changes: "list[Change]", facts: "Facts") -> None:
    from omniroute_app.cli.output import say

    for change in changes:
        say(change.diff(facts.key))


def _undo(
    client: "Client",
    machine: "Machine",
    data_dir: Path,
    only: Literal["mcp", "models"] | None,
    *,
    force: bool,
) -> None:
    from omniroute.errors import NotFound
    from omniroute_app.cli.output import say
    from omniroute_app.setup.files import Notes, undo
    from omniroute_app.setup.plan import paths

    notes = Notes(data_dir)
    undone = [path for path in paths(client, machine, only) if undo(path, notes, force=force)]
    if not undone:
        raise NotFound(f"Nothing was written for {client.name}, or all of it is undone.")
    for path in undone:
        say(f"{path} is as it was before.")


def _list(facts: "Facts", machine: "Machine", *, as_json: bool) -> None:
    import shutil

    from omniroute_app.cli.output import Column, show, table
    from omniroute_app.setup.clients import CLIENTS
    from omniroute_app.setup.plan import paths, points

    rows = []
    for client in CLIENTS:
        files = paths(client, machine)
        here = any(path.exists() for path in files) or (
            client.command is not None and shutil.which(client.command) is not None
        )
        rows.append(
            {
                "id": client.id,
                "name": client.name,
                "found": here,
                "points": points(client, facts, machine),
                "files": [str(path) for path in files],
            }
        )
    columns = (
        Column("CLIENT", "id"),
        Column("NAME", "name"),
        Column("FOUND", "found"),
        Column("POINTS HERE", lambda row: {"here": "yes"}.get(row["points"], row["points"])),
        Column("FILES", "files"),
    )
    show(rows, lambda: table(rows, columns), as_json=as_json)


def _key(where: Where, client: "Client", key: str | None, *, new_key: bool) -> str | None:
    """The key a client shows: as given, newly made, or none where the gateway asks for none.

    Raises:
        InvalidRequest: the gateway asks for one.
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.credentials import secret_of
    from omniroute_app.cli.gateway import Gateway, gateway

    if key is not None:
        return secret_of(key)
    asked = gateway(where)
    if new_key:
        body = {"name": f"{client.name} (setup)", "scopes": ["mcp"]}
        return str(asked.ask("POST", "/api/keys", body)["key"])
    try:
        needed = Gateway(asked.url, {}).send("GET", "/v1/models").status_code == 401
    except InvalidRequest as error:
        sys.stderr.write(f"{error}\n")
        return None
    if needed:
        raise InvalidRequest(
            "This gateway asks for a key. Make one for the client with --new-key, or say --key."
        )
    return None


def _command(data_dir: Path | None) -> tuple[str, ...]:
    """How a client starts `omniroute mcp` by itself."""
    called = Path(sys.argv[0])
    start = (
        (str(called.absolute()),)
        if called.stem == "omniroute"
        else (sys.executable, "-m", "omniroute_app")
    )
    folder = data_dir or os.environ.get("DATA_DIR")
    return (*start, "mcp", *(("--data-dir", str(folder)) if folder else ()))


def _note(client: "Client", facts: "Facts") -> str:
    return "" if client.note is None else client.note.replace("{v1}", f"{facts.url}/v1")
