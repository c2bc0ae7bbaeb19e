"""Real databases for the storage tests: each test has its own, on SQLite and on PostgreSQL."""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox

POSTGRES_URL = os.environ.get(
    "OMNIROUTE_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/test"
)


@pytest.fixture
def box() -> SecretBox:
    return SecretBox(bytes(32))


@pytest.fixture
async def postgres_url(anyio_backend: str) -> AsyncGenerator[str]:
    """A URL that leads into a fresh schema."""
    async with fresh_schema() as url:
        yield url


@asynccontextmanager
async def fresh_schema() -> AsyncGenerator[str]:
    """A URL that leads into a schema that is gone afterwards."""
    url = POSTGRES_URL.replace("+asyncpg", "")
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        if os.environ.get("OMNIROUTE_TEST_REQUIRE_SERVICES") == "1":
            raise
        pytest.skip(f"PostgreSQL is not reachable: {type(error).__name__}")
    schema = f"storage_{secrets.token_hex(6)}"
    try:
        await connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{url}{'&' if '?' in url else '?'}search_path={schema}"
    finally:
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/storage.sqlite"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs once on each kind."""
    value: str = request.getfixturevalue(f"{request.param}_url")
    return value


@pytest.fixture
async def database(url: str, tmp_path: Path, box: SecretBox) -> AsyncGenerator[Database]:
    """An opened, migrated, empty database."""
    opened = await Database.open(url, tmp_path / "data", box)
    yield opened
    await opened.close()
