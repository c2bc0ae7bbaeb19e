"""`omniroute nodes ...`: upstreams of your own."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

app = App(
    name="nodes",
    help=(
        "Upstreams of your own that speak the OpenAI or the Anthropic dialect.\n\n"
        "Example: omniroute nodes add lab http://10.0.0.5:8000/v1"
    ),
)
Kind = Annotated[Literal["openai", "anthropic"], Parameter(help="Which dialect it speaks.")]
Api = Annotated[
    Literal[
        "chat", "responses", "embeddings", "audio-transcriptions", "audio-speech",
        "images-generations",
    ],
    Parameter(help="Which of the OpenAI APIs it has."),
]  # fmt: skip
BaseUrl = Annotated[str, Parameter(help="Its address, with /v1 where it has that.")]


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List upstreams.

    Example: omniroute nodes list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    found = gateway(where).get("/api/provider-nodes")
    columns = (
        Column("PREFIX", "prefix"),
        Column("NAME", "name"),
        Column("TYPE", "type"),
        Column("API", "apiType"),
        Column("ADDRESS", "baseUrl"),
        Column("ID", "id"),
    )
    empty = "There are none. Add one with: omniroute nodes add PREFIX URL"
    show(found, lambda: table(found["nodes"], columns, empty), as_json=where.json)


@app.command
def add(
    prefix: Annotated[str, Parameter(help="What stands before its models: PREFIX/model.")],
    base_url: BaseUrl,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Name for people. Default: the prefix.")] = None,
    type: Kind = "openai",  # noqa: A002 - its name outside
    api: Api = "chat",
    where: Where = HERE,
) -> None:
    """Add an upstream; then give it an account with `providers add PREFIX`.

    Example: omniroute nodes add lab http://10.0.0.5:8000/v1
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    body: dict[str, Any] = {
        "name": name or prefix,
        "prefix": prefix,
        "type": f"{type}-compatible",
        "baseUrl": base_url,
    }
    body |= {"apiType": api} if type == "openai" else {}
    found = gateway(where).ask("POST", "/api/provider-nodes", body)
    told = f"Added {prefix}. Give it an account: omniroute providers add {prefix}"
    show(found, lambda: say(told), as_json=where.json)


@app.command
def test(
    base_url: BaseUrl,
    /,
    *,
    type: Kind = "openai",  # noqa: A002
    api_key: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Key to ask with; - reads a line.")
    ] = None,
    where: Where = HERE,
) -> None:
    """Try an upstream before adding it. Exit code 1 when it does not list its models.

    Example: omniroute nodes test http://10.0.0.5:8000/v1
    """
    from omniroute_app.cli.credentials import secret_of
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import busy, say, show

    body = {"baseUrl": base_url, "type": f"{type}-compatible"}
    body |= {"apiKey": secret_of(api_key)} if api_key is not None else {}
    with busy(f"Asking {base_url} ..."):
        found = gateway(where).ask("POST", "/api/provider-nodes/validate", body)
    told = (
        "It answers: " + (", ".join(found["models"][:20]) or "it lists no models")
        if found["valid"]
        else f"It does not answer: {found['error']}"
    )
    show(found, lambda: say(told), as_json=where.json)
    if not found["valid"]:
        raise SystemExit(1)


@app.command
def remove(
    node: Annotated[str, Parameter(help="Prefix or id of the upstream.")],
    /,
    *,
    yes: Yes = False,
    where: Where = HERE,
) -> None:
    """Delete an upstream and all its accounts.

    Example: omniroute nodes remove lab --yes
    """
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.output import confirm, say, show

    asked = gateway(where)
    one = pick(asked.get("/api/provider-nodes")["nodes"], node, "node", ("prefix", "id"))
    confirm(f"Delete {one['prefix']} and all its accounts?", yes=yes)
    found = asked.ask("DELETE", f"/api/provider-nodes/{part(one['id'])}")
    show(found, lambda: say(f"Deleted {one['prefix']}."), as_json=where.json)
