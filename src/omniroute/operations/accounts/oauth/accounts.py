"""Tokens that were just given become an account: a new one, or the one whose they are."""

import asyncio

from msgspec import Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound
from omniroute.operations.accounts.connections import audit_name, start_afresh
from omniroute.operations.accounts.oauth.providers import endpoint_of
from omniroute.pipeline.accounts.logins import with_tokens
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.oauth import OAuthClient, OAuthRefused, Person, Tokens, person_in
from omniroute.upstream.send import TransportFailed


class LoginView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose account it is."""

    id: str
    provider: str
    email: str | None
    display_name: str | None


class SignedIn(Struct, frozen=True, kw_only=True):
    """A sign-in that is over."""

    connection: LoginView
    success: bool = True


def require_login(engine: Engine, client: OAuthClient, connection_id: str | None) -> None:
    """See to it that an account can be signed in to, before anything is spent on it.

    Raises:
        NotFound: there is none with this id.
        InvalidRequest: it is another provider's, or one with an API key.
    """
    if connection_id is None:
        return
    row = engine.snapshot.connections.get(connection_id)
    if row is None:
        raise NotFound(f"There is no connection with the id '{connection_id}'.")
    if row.auth_type != "oauth" or row.provider != client.provider:
        raise InvalidRequest(
            f"The connection '{row.name}' is no sign-in at {client.name}.", param="connectionId"
        )


async def signed_in(
    engine: Engine,
    caller: Caller,
    client: OAuthClient,
    tokens: Tokens,
    connection_id: str | None,
    person: Person | None = None,
) -> SignedIn:
    """Store the account the tokens are of, ready for use.

    Raises:
        NotFound: the account to replace is gone.
    """
    person = person or await whose(engine, client, tokens)
    now_ms = engine.now_ms()
    known = connection_id is not None or await _known(engine, client, person)
    action = "provider.credentials.updated" if known else "provider.credentials.created"
    target = f"{client.provider}:{person.email or person.name or person.username or 'login'}"
    async with engine.configuration.change(caller, action, target) as work:
        old = await _old(work, client, person, connection_id)
        account = old or await _new(engine, work, client, person)
        # What the old sign-in could be renewed with is no good for the new one.
        bare = replace(account, refresh_token=None, id_token=None, scope=None)
        account = replace(
            with_tokens(bare, tokens, now_ms),
            email=person.email or account.email,
            display_name=person.name or person.username or account.display_name,
            is_active=True,
            options={**account.options, **client.account_options},
        )
        await work.connections.save(account)
        work.details.update({"authType": "oauth", "connection": audit_name(account)})
    start_afresh(engine, [account.id])
    return SignedIn(
        connection=LoginView(
            id=account.id,
            provider=account.provider,
            email=account.email,
            display_name=account.display_name,
        )
    )


async def whose(engine: Engine, client: OAuthClient, tokens: Tokens) -> Person:
    """Whose tokens they are: as the id token says, else as the provider does when it is asked.

    An account without a name is better than none, so a provider that does not say is no failure.
    """
    person = person_in(tokens.id_token)
    if person.email is not None or client.userinfo_url is None:
        return person
    try:
        async with asyncio.timeout(engine.logins.timeout_s):
            asked = await endpoint_of(engine, client, client.userinfo_url).person(
                tokens.access_token
            )
    except (OAuthRefused, TransportFailed, TimeoutError):
        return person
    return asked


async def _known(engine: Engine, client: OAuthClient, person: Person) -> bool:
    if person.email is None:
        return False
    async with engine.database.reading() as work:
        return await work.connections.find_login(client.provider, person.email) is not None


async def _old(
    work: Work, client: OAuthClient, person: Person, connection_id: str | None
) -> Connection | None:
    if connection_id is not None:
        old = await work.connections.get(connection_id)
        if old is None or old.auth_type != "oauth" or old.provider != client.provider:
            raise NotFound(f"There is no connection with the id '{connection_id}'.")
        return old
    if person.email is None:
        return None
    return await work.connections.find_login(client.provider, person.email)


async def _new(engine: Engine, work: Work, client: OAuthClient, person: Person) -> Connection:
    rows = await work.connections.of_provider(client.provider)
    taken = {row.name for row in rows if row.auth_type == "oauth"}
    wanted = person.email or person.name or person.username or f"{client.name} sign-in"
    names = (wanted if number == 1 else f"{wanted} {number}" for number in range(1, len(taken) + 2))
    now = iso(engine.now_ms())
    return Connection(
        id=engine.new_id(),
        provider=client.provider,
        name=next(name for name in names if name not in taken),
        auth_type="oauth",
        created_at=now,
        updated_at=now,
    )
