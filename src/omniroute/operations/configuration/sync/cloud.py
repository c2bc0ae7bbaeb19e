"""What agents elsewhere ask of this gateway with one of its keys. Source: 02 §16.3."""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.access.masking import masked
from omniroute.operations.accounts.connections import audit_name, known_provider, start_afresh
from omniroute.operations.models.aliases import AliasInput, set_alias
from omniroute.storage.records.configuration import Connection

Token = Annotated[str, Meta(min_length=1, max_length=10_000)]


class CloudConnection(Struct, frozen=True, kw_only=True, rename="camel"):
    """An account without its secrets."""

    provider: str
    auth_type: str
    has_api_key: bool
    has_access_token: bool
    has_refresh_token: bool
    masked_api_key: str | None
    project_id: str | None
    expires_at: str | None
    priority: int
    global_priority: int | None
    default_model: str | None
    is_active: bool


class CloudState(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a key can reach: active accounts, and what names stand for."""

    connections: list[CloudConnection]
    model_aliases: dict[str, str]


class NewCredentials(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Tokens of a sign-in; at least one. `expires_in` is seconds."""

    access_token: Token | None = None
    refresh_token: Token | None = None
    expires_in: Annotated[int, Meta(gt=0, le=315_360_000)] | None = None


class CredentialsInput(Struct, frozen=True, kw_only=True):
    """New tokens for the first active sign-in at a provider."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)]
    credentials: NewCredentials


class AliasQuestion(Struct, frozen=True):
    """Which alias."""

    alias: Annotated[str, Meta(min_length=1, max_length=200)]


class AliasAnswer(Struct, frozen=True, kw_only=True):
    """What it stands for. `provider` is empty where the target names none."""

    alias: str
    provider: str
    model: str


async def cloud_state(engine: Engine, caller: Caller) -> CloudState:
    """The active accounts the caller's key may use, masked, and all aliases."""
    snapshot = engine.snapshot
    rows = snapshot.active_accounts()
    allowed = caller.allowed_connections
    return CloudState(
        connections=[_shown(row) for row in rows if not allowed or row.id in allowed],
        model_aliases=dict(sorted(snapshot.aliases.items())),
    )


async def update_credentials(engine: Engine, caller: Caller, given: CredentialsInput) -> str:
    """Give the first active sign-in at a provider other tokens; what was done, in a sentence.

    Raises:
        ValidationFailed: nothing is given.
        InvalidRequest: there is no such provider.
        NotFound: nobody is signed in there.
    """
    new = given.credentials
    if new.access_token is None and new.refresh_token is None and new.expires_in is None:
        raise ValidationFailed([("credentials", "at least one field is needed")])
    provider = known_provider(engine, given.provider.strip())
    rows = engine.snapshot.accounts.get(provider, ())
    first = next((row for row in rows if row.auth_type == "oauth"), None)
    if first is None:
        raise NotFound(f"There is no active sign-in at '{given.provider}'.")
    now_ms = engine.now_ms()
    async with engine.configuration.change(
        caller, "provider.credentials.updated", audit_name(first)
    ) as work:
        row = await work.connections.get(first.id)
        if row is None:
            raise NotFound(f"There is no active sign-in at '{given.provider}'.")
        changed = replace(
            row,
            access_token=new.access_token or row.access_token,
            refresh_token=new.refresh_token or row.refresh_token,
            updated_at=iso(now_ms),
        )
        if new.expires_in is not None:
            end = iso(now_ms + new.expires_in * 1000)
            changed = replace(
                changed, expires_in=new.expires_in, expires_at=end, token_expires_at=end
            )
        elif new.access_token is not None:
            changed = replace(changed, expires_in=None, expires_at=None, token_expires_at=None)
        await work.connections.save(replace(changed, test_status="active"))
    start_afresh(engine, [first.id])
    return f"The credentials of '{first.name}' were updated."


async def resolve_alias(engine: Engine, caller: Caller, asked: AliasQuestion) -> AliasAnswer:
    """What an alias stands for.

    Raises:
        NotFound: there is none of that name.
    """
    target = engine.snapshot.aliases.get(asked.alias)
    if target is None:
        raise NotFound(f"There is no alias '{asked.alias}'.")
    provider, slash, model = target.partition("/")
    if not slash:
        provider, model = "", target
    return AliasAnswer(alias=asked.alias, provider=provider, model=model)


async def cloud_alias(engine: Engine, caller: Caller, new: AliasInput) -> str:
    """Let an alias stand for a model, unless it stands for another one.

    Raises:
        InvalidRequest: it does.
        ValidationFailed: the alias or its target cannot be used.
    """
    known = engine.snapshot.aliases.get(new.alias.strip())
    if known is not None and known != new.model.strip():
        raise InvalidRequest(
            f"The alias '{new.alias}' stands for '{known}' already. Delete it first.", param="alias"
        )
    saved = await set_alias(engine, caller, new)
    return f"'{saved.alias}' stands for '{saved.model}'."


def _shown(row: Connection) -> CloudConnection:
    return CloudConnection(
        provider=row.provider,
        auth_type=row.auth_type,
        has_api_key=bool(row.api_key),
        has_access_token=bool(row.access_token),
        has_refresh_token=bool(row.refresh_token),
        masked_api_key=masked(row.api_key) if row.api_key else None,
        project_id=row.project_id,
        expires_at=row.expires_at,
        priority=row.priority,
        global_priority=row.global_priority,
        default_model=row.default_model,
        is_active=row.is_active,
    )
