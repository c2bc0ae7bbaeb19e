"""Accounts that people sign in to: their tokens are renewed in time, once, by one process.

Whoever needs the tokens of an account shares one renewal within a process; between processes a
lease in SQL says whose turn it is. Nothing is asked within a transaction. Source: 05 §5.6.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import structlog
from msgspec.structs import replace

from omniroute.clock import from_iso, iso
from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.routing.oauth_clients import OAuthClients
from omniroute.routing.resilience.health import Health
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.database import Database, Work
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.oauth import OAuthClient, OAuthRefused, TokenEndpoint, Tokens
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import Sender, TransportFailed

log = structlog.get_logger(__name__)

SKEW_MS = 5 * 60_000
"""How long before its end a token is renewed; of short ones a quarter of their time."""

RESTS_MS = (5_000, 15_000, 60_000, 5 * 60_000, 30 * 60_000)
"""How long a token endpoint is left alone, for one account, after so many failures in a row."""

JUST_RENEWED_MS = 60_000
"""A token that is refused when it is that young is not mended by another one."""

LEASE_MARGIN_MS = 2_000
POLL_S = 0.1
STORING_TRIES = 5
ENDED = frozenset({"expired", "invalid"})
"""States of an account whose person has to sign in again."""

Kind: TypeAlias = Literal["ended", "failed"]


class LoginFailed(Exception):
    """There is no token to use.

    Args:
        kind: `ended` until somebody signs in again, `failed` for now.
        message: one line for people.
    """

    def __init__(self, kind: Kind, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.retry_after_ms = retry_after_ms


@dataclass(slots=True)
class Rest:
    """How often in a row an account's token endpoint failed, and until when it is left alone."""

    failures: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Logins:
    """Renews tokens.

    `noted` opens a change of the configuration, `holder` names this process in leases, `now_ms`
    is epoch milliseconds and `timeout_s` the longest a token endpoint may take.
    """

    snapshot: Callable[[], Snapshot]
    database: Database
    noted: Callable[[], AbstractAsyncContextManager[Work]]
    clients: OAuthClients
    sender: Sender
    health: Health
    holder: str
    now_ms: Callable[[], int]
    allow_private: bool = False
    timeout_s: float = 15.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _running: dict[str, asyncio.Task[Connection]] = field(default_factory=dict)
    _rests: dict[str, Rest] = field(default_factory=dict)
    _renewed_ms: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, str | None] = field(default_factory=dict)

    async def fresh(self, account: Connection) -> Connection:
        """The account with a token that is good for now.

        Raises:
            LoginFailed: it has ended, and could not be renewed.
        """
        if account.auth_type != "oauth":
            return account
        account = self.snapshot().connections.get(account.id, account)
        now = self.now_ms()
        if not self.is_due(account, now):
            return account
        ended = has_ended(account, now)
        if account.refresh_token is None or account.test_status in ENDED:
            if not ended:
                return account
            raise _sign_in_again(account)
        rest = self._rests.get(account.id)
        if rest is not None and rest.until_ms > now:
            if not ended:
                return account
            told = f"The token of '{account.name}' has ended and cannot be renewed right now."
            raise LoginFailed("failed", told, retry_after_ms=rest.until_ms - now)
        try:
            return await self.renewed(account)
        except LoginFailed:
            if ended:
                raise
            return account

    def is_due(self, account: Connection, now_ms: int) -> bool:
        """Whether a token has ended, or will soon."""
        end_ms = end_of(account)
        if end_ms is None:
            return False
        skew_ms = SKEW_MS
        if account.expires_in is not None:
            skew_ms = min(SKEW_MS, account.expires_in * 250)
        return end_ms - now_ms < skew_ms

    def renewable(self, account: Connection) -> bool:
        """Whether a token that was refused can be replaced by a better one."""
        if account.auth_type != "oauth" or account.refresh_token is None:
            return False
        current = self.snapshot().connections.get(account.id, account)
        if current.access_token != account.access_token:
            return True  # somebody has already done it
        young = self.now_ms() - self._renewed_ms.get(account.id, -JUST_RENEWED_MS)
        if young < JUST_RENEWED_MS or current.test_status in ENDED:
            return False
        provider = self.snapshot().providers.get(account.provider)
        try:
            return provider is not None and self.clients.of(provider) is not None
        except InvalidRequest:
            return False

    async def renewed(
        self, account: Connection, *, refused: bool = False, status: str = "expired"
    ) -> Connection:
        """The account with other tokens than these; whoever asks meanwhile shares them.

        Args:
            refused: the access token does not work any more, whatever its date says.
            status: what the account is said to be when its person has to sign in again.

        Raises:
            LoginFailed: there are no others.
        """
        current = self.snapshot().connections.get(account.id, account)
        if current.access_token != account.access_token and not has_ended(current, self.now_ms()):
            return current
        running = self._running.get(account.id)
        if running is None:
            self._client(account)  # without a client there is nothing to wait for
            running = asyncio.create_task(self._renew(account, refused, status))
            self._running[account.id] = running
            running.add_done_callback(lambda done: self._done(account.id, done))
        # A caller that hangs up must not lose tokens the provider has already replaced.
        return await asyncio.shield(running)

    def seen(self, snapshot: Snapshot) -> None:
        """Other tokens end what the old ones were refused for, whichever process got them."""
        tokens = {
            row.id: row.access_token
            for row in snapshot.connections.values()
            if row.auth_type == "oauth"
        }
        cooldowns = self.health.view().cooldowns
        for id_, token in tokens.items():
            rest = cooldowns.get(id_)
            if rest is not None and self._seen.get(id_, token) != token:
                if rest.terminal == "expired" or rest.reason == "token_refresh_failed":
                    self.health.revive(id_)
                self._rests.pop(id_, None)
        self._seen.clear()
        self._seen.update(tokens)

    async def aclose(self) -> None:
        """Wait until what the provider gives is stored."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _done(self, connection: str, done: asyncio.Task[Connection]) -> None:
        self._running.pop(connection, None)
        if not done.cancelled():
            done.exception()  # whoever asked may have gone away

    async def _renew(self, account: Connection, refused: bool, status: str) -> Connection:
        try:
            row, mine = await self._turn(account)
            if not mine:
                return row
            try:
                tokens = await self._ask(row)
            except OAuthRefused as error:
                raise await self._given_up(row, error, refused=refused, status=status) from error
            return await self._stored(row, tokens)
        except StorageUnavailable as error:
            raise LoginFailed("failed", "Tokens cannot be stored right now.") from error

    async def _turn(self, account: Connection) -> tuple[Connection, bool]:
        """Wait until this process may renew an account, or somebody else has."""
        waited = False
        while True:
            now = self.now_ms()
            until = now + round(self.timeout_s * 1000) + LEASE_MARGIN_MS
            async with self.database.work() as work:
                mine = await work.refresh_leases.claim(account.id, self.holder, now, until)
                row = await work.connections.get(account.id)
                newer = row is not None and row.access_token != account.access_token
                newer = newer and row is not None and not has_ended(row, now)
                gone = row is None or (waited and row.test_status in ENDED)
                if mine and (newer or gone):
                    await work.refresh_leases.release(account.id, self.holder)
            if row is None:
                raise LoginFailed("ended", f"The account '{account.name}' was deleted.")
            if newer:
                return row, False
            if gone:
                raise _sign_in_again(row)
            if mine:
                return row, True
            waited = True
            await self.sleep(POLL_S)

    async def _ask(self, row: Connection) -> Tokens:
        """New tokens of the provider.

        Raises:
            OAuthRefused: it will not give any.
            LoginFailed: there is nobody to ask, or no answer.
        """
        try:
            client = self._client(row)
            if row.refresh_token is None:
                raise _sign_in_again(row)
            way = self.snapshot().proxying.route(row).to(client.token_url)
            async with asyncio.timeout(self.timeout_s):
                return await self.endpoint(client, way).tokens(
                    {"grant_type": "refresh_token", "refresh_token": row.refresh_token}
                )
        except (TransportFailed, TimeoutError) as error:
            raise await self._pause(row, f"{row.provider} cannot be reached") from error
        except LoginFailed:
            await self._release(row)
            raise

    def endpoint(self, client: OAuthClient, via: Via | None) -> TokenEndpoint:
        """A client with a way out."""
        return TokenEndpoint(
            sender=self.sender,
            client=client,
            via=via,
            allow_private=self.allow_private,
            timeout_s=self.timeout_s,
        )

    def _client(self, row: Connection) -> OAuthClient:
        provider = self.snapshot().providers.get(row.provider)
        try:
            client = self.clients.of(provider) if provider is not None else None
        except InvalidRequest as error:
            raise LoginFailed("failed", str(error)) from error
        if client is None:
            raise LoginFailed(
                "failed",
                f"The token of '{row.name}' cannot be renewed: no OAuth client of {row.provider} "
                "is configured any more.",
            )
        return client

    async def _given_up(
        self, row: Connection, error: OAuthRefused, *, refused: bool, status: str
    ) -> LoginFailed:
        """What a refusal means. One that is for good marks the account, unless its token still
        works or somebody has signed in meanwhile."""
        if not error.definite:
            return await self._pause(row, f"The provider answered {error}")
        usable = not refused and not has_ended(row, self.now_ms())
        if usable:
            end_ms = end_of(row) or self.now_ms() + RESTS_MS[-1]
            self._rests[row.id] = Rest(failures=0, until_ms=end_ms)
            await self._release(row)
            return LoginFailed("failed", f"The token of '{row.name}' cannot be renewed: {error}.")
        async with self.noted() as work:
            current = await work.connections.get(row.id)
            if current is not None and current.refresh_token == row.refresh_token:
                now = iso(self.now_ms())
                marked = replace(
                    current,
                    test_status=status,
                    last_error=f"The provider refused to renew the token: {error}"[:500],
                    last_error_at=now,
                    last_error_type="token_refresh_failed",
                    last_error_source="oauth",
                    error_code=error.error,
                )
                await work.connections.save(marked)
            await work.refresh_leases.release(row.id, self.holder)
        log.warning("sign_in_needed", connection=row.id, provider=row.provider, error=error.error)
        return _sign_in_again(row)

    async def _pause(self, row: Connection, told: str) -> LoginFailed:
        """Leave a token endpoint alone for a while, for this account."""
        old = self._rests.get(row.id)
        failures = old.failures + 1 if old is not None else 1
        rest_ms = RESTS_MS[min(failures, len(RESTS_MS)) - 1]
        self._rests[row.id] = Rest(failures=failures, until_ms=self.now_ms() + rest_ms)
        await self._release(row)
        log.warning("token_not_renewed", connection=row.id, provider=row.provider, why=told)
        told = f"The token of '{row.name}' could not be renewed: {told}."
        return LoginFailed("failed", told, retry_after_ms=rest_ms)

    async def _release(self, row: Connection) -> None:
        async with self.database.work() as work:
            await work.refresh_leases.release(row.id, self.holder)

    async def _stored(self, row: Connection, tokens: Tokens) -> Connection:
        """Store new tokens before anybody uses them: the old refresh token may be gone already."""
        for left in reversed(range(STORING_TRIES)):
            try:
                return await self._store(row, tokens)
            except StorageUnavailable:
                if not left:
                    log.exception("tokens_not_stored", connection=row.id, provider=row.provider)
                    raise
                await self.sleep(1.0)
        raise AssertionError("the last try raises")

    async def _store(self, row: Connection, tokens: Tokens) -> Connection:
        async with self.noted() as work:
            current = await work.connections.get(row.id)
            await work.refresh_leases.release(row.id, self.holder)
            if current is None:
                raise LoginFailed("ended", f"The account '{row.name}' was deleted.")
            if current.refresh_token != row.refresh_token:  # somebody has signed in meanwhile
                return current
            new = with_tokens(current, tokens, self.now_ms())
            await work.connections.save(new)
        self._rests.pop(row.id, None)
        self._renewed_ms[row.id] = self.now_ms()
        return new


def with_tokens(account: Connection, tokens: Tokens, now_ms: int) -> Connection:
    """The account with what a token endpoint gave; a refresh token that was not replaced stays."""
    expires_at = None
    if tokens.expires_in is not None and 0 <= tokens.expires_in < 1e10:
        expires_at = iso(now_ms + round(tokens.expires_in * 1000))
    return replace(
        account,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or account.refresh_token,
        id_token=tokens.id_token or account.id_token,
        token_type=tokens.token_type or account.token_type,
        scope=tokens.scope or account.scope,
        expires_at=expires_at,
        token_expires_at=expires_at,
        expires_in=None if expires_at is None else round(tokens.expires_in or 0),
        test_status="active",
        last_error=None,
        last_error_at=None,
        last_error_type=None,
        last_error_source=None,
        error_code=None,
        updated_at=iso(now_ms),
    )


def end_of(account: Connection) -> int | None:
    """When the access token ends, epoch ms; None where nobody knows."""
    if account.expires_at is None:
        return None
    try:
        return from_iso(account.expires_at)
    except (ValueError, OverflowError):
        return None


def has_ended(account: Connection, now_ms: int) -> bool:
    """Whether the access token is no longer good, by its date."""
    end_ms = end_of(account)
    return end_ms is not None and end_ms <= now_ms


def _sign_in_again(account: Connection) -> LoginFailed:
    return LoginFailed(
        "ended", f"The sign-in of '{account.name}' at {account.provider} has ended; sign in again."
    )
