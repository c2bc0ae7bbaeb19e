"""`omniroute login` and `logout`: being remembered by a gateway elsewhere."""

from typing import Annotated

from cyclopts import Parameter

from omniroute_app.cli.where import HERE, Where


def login(*, where: Where = HERE) -> None:
    """Sign in with the password of a gateway, or with a key (`--key`), and be remembered.

    The password is asked for unseen, or read from standard input. What is kept is the session
    or the key, in a file of the data directory that only you can read.

    Example: omniroute login --url https://gateway.example.com
    """
    from omniroute.errors import InvalidRequest, Unauthenticated
    from omniroute_app.cli.credentials import (
        COOKIE,
        Found,
        Login,
        found_gateway,
        remember,
        secret_of,
    )
    from omniroute_app.cli.gateway import Gateway, message_of
    from omniroute_app.cli.output import hidden, say, show

    key = None if where.key is None else secret_of(where.key)
    found: Found = found_gateway(Where(where.url, None, where.data_dir))
    asked = Gateway(found.url, {} if key is None else {"authorization": f"Bearer {key}"})
    if key is not None:
        asked.get("/api/settings/database")  # asks for a credential on any machine
        kept = Login(key=key)
    else:
        password = hidden(f"Password of {found.url}")
        if not password:
            raise InvalidRequest("No password was given. Type it, or pipe it in.")
        response = asked.send("POST", "/api/auth/login", {"password": password})
        session = response.cookies.get(COOKIE)
        if response.status_code != 200 or not session:
            raise Unauthenticated(message_of(response))
        kept = Login(session=session)
    remember(found.data_dir, found.url, kept)
    told = {"url": found.url, "with": "key" if key is not None else "password"}
    show(told, lambda: say(f"Signed in to {found.url} with a {told['with']}."), as_json=where.json)


def logout(
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative=(), help="Forget all of them.")
    ] = False,
    where: Where = HERE,
) -> None:
    """Forget the session or key of a gateway.

    Example: omniroute logout --url https://gateway.example.com
    """
    from omniroute_app.cli.credentials import found_gateway, logins, remember
    from omniroute_app.cli.output import say, show

    found = found_gateway(Where(where.url, None, where.data_dir))
    known = logins(found.data_dir)
    forgotten = [url for url in known if every or url == found.url]
    for url in forgotten:
        remember(found.data_dir, url, None)
    told = f"Forgot {', '.join(forgotten)}." if forgotten else f"Nothing is kept of {found.url}."
    show({"forgotten": forgotten}, lambda: say(told), as_json=where.json)
