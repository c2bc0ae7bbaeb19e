"""The databases every process-level test runs on: SQLite always, PostgreSQL where it answers."""

import asyncio
import os
import uuid

import pytest

POSTGRES = os.environ.get(
    "OMNIROUTE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"
).replace("+asyncpg", "")
REQUIRED = os.environ.get("OMNIROUTE_TEST_REQUIRE_SERVICES") == "1"


async def _execute(statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(POSTGRES, timeout=3)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def new_postgres_database() -> str:
    """The URL of a fresh database; skips the test where no server answers."""
    name = f"omniroute_{uuid.uuid4().hex[:12]}"
    try:
        asyncio.run(_execute(f"CREATE DATABASE {name}"))
    except (OSError, TimeoutError) as error:
        if REQUIRED:
            raise
        pytest.skip(f"PostgreSQL does not answer: {error}")
    return f"{POSTGRES.rsplit('/', 1)[0]}/{name}"


def drop_postgres_database(url: str) -> None:
    """Remove a database made by `new_postgres_database`."""
    asyncio.run(_execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)"))


def dumped(url: str) -> bytes:
    """Every row of every table, as text."""

    async def read() -> bytes:
        import asyncpg

        connection = await asyncpg.connect(url, timeout=3)
        try:
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            found = [
                str(dict(row))
                for table in tables
                for row in await connection.fetch(f'SELECT * FROM "{table[0]}"')
            ]
        finally:
            await connection.close()
        return "\n".join(found).encode()

    return asyncio.run(read())
