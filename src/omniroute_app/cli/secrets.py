"""`omniroute secrets ...`: the keys that guard what is stored, and new ones in their place."""

from typing import Annotated

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

app = App(
    name="secrets",
    help=(
        "The keys that guard what is stored.\n\n"
        "Works on the data directory, also beside a gateway that runs on it, which takes new keys"
        " over at once; with --url, on a gateway elsewhere.\n\n"
        "The API key secret cannot be rotated: gateway keys are known by a hash made with it, so"
        " another one means other keys for everybody. Replace single keys with: omniroute keys\n\n"
        "Example: omniroute secrets rotate"
    ),
)


@app.command
def status(*, where: Where = HERE) -> None:
    """Which keys are in use, how many values each seals, and what cannot be opened.

    Example: omniroute secrets status
    """
    from omniroute_app.cli.output import Column, facts, say, show, table
    from omniroute_app.desks.secrets import desk_of

    found = desk_of(where).status()

    def told() -> None:
        rotating = "a rotation is not finished: omniroute secrets rotate"
        facts(
            [
                ("storage key", f"{found['currentKey']} ({found['source']})"),
                ("rotation", rotating if found["rotating"] else "none under way"),
                ("session secret", found["sessionSecretSource"]),
                ("cannot be opened", found["unreadableCount"]),
            ]
        )
        columns = (Column("KEY", "id"), Column("USE", "use"), Column("VALUES", "values"))
        table(found["keys"], columns)
        for one in found["unreadable"]:
            say(f"cannot be opened: {one}")

    show(found, told, as_json=where.json)


@app.command
def rotate(
    *,
    sessions: Annotated[
        bool,
        Parameter(negative=(), help="A new session secret instead: all browsers sign in again."),
    ] = False,
    keep_old: Annotated[
        bool, Parameter(negative=(), help="Keep the old key, to open old backups with.")
    ] = False,
    where: Where = HERE,
) -> None:
    """Make a new storage key and seal everything under it. A rotation that broke off goes on.

    With STORAGE_ENCRYPTION_KEY in the environment, everything is sealed under that key; give the
    one before it as STORAGE_ENCRYPTION_KEY_PREVIOUS.

    Example: omniroute secrets rotate --keep-old
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.output import say, show
    from omniroute_app.desks.secrets import desk_of

    if sessions and keep_old:
        raise InvalidRequest("--keep-old is about the storage key; leave it out with --sessions.")
    desk = desk_of(where)
    if sessions:
        ended = desk.rotate_sessions()
        show(ended, lambda: say("All browser sessions are over."), as_json=where.json)
        return
    found = desk.rotate(keep_old=keep_old)

    def told() -> None:
        say(f"Sealed anew under key {found['currentKey']}: {found['resealed']} rows.")
        for line in found["advice"]:
            say(line)

    show(found, told, as_json=where.json)
