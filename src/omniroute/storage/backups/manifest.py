"""What a backup says about itself: it travels inside the file, in a table of its own."""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from omniroute.storage.secret_box import NO_SECRETS, SEALED, SecretBox
from omniroute.storage.tables import metadata

FORMAT = "omniroute-backup-v1"
TABLE = "omniroute_backup"


class Counts(Struct, frozen=True, kw_only=True, rename="camel"):
    """How much configuration there is."""

    connection_count: int = 0
    node_count: int = 0
    combo_count: int = 0
    api_key_count: int = 0


COUNTED = {
    "connection_count": "provider_connections",
    "node_count": "provider_nodes",
    "combo_count": "combos",
    "api_key_count": "api_keys",
}
"""The tables that are counted; a database without them is not ours."""


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds and what opens it.

    `storage_keys` are the ids of the keys its credentials are sealed under, `api_key_secret` is
    a fingerprint of what its gateway keys are hashed with. `created_at` is ISO-8601.
    """

    format: str = FORMAT
    version: str
    created_at: str
    reason: str
    database: Literal["sqlite", "postgresql"]
    counts: Counts
    storage_keys: tuple[str, ...]
    api_key_secret: str


class Keyring(Struct, frozen=True, kw_only=True):
    """What this installation can open: what is in its box, a fingerprint of the key secret."""

    box: SecretBox
    api_key_secret: str

    @classmethod
    def of(cls, box: SecretBox, api_key_secret: str) -> "Keyring":
        """What a box and a key secret open."""
        digest = hashlib.sha256(b"omniroute-api-key-secret" + api_key_secret.encode())
        return cls(box=box, api_key_secret=digest.hexdigest()[:8])

    def opens(self, storage_keys: Iterable[str]) -> bool:
        """Whether everything that is sealed under some keys can be opened here."""
        self.box.renew()
        return self.box.key_ids.issuperset(storage_keys)

    def warnings(self, counts: Counts, storage_keys: Iterable[str], secret: str) -> list[str]:
        """What of a file will not work here, and what to do about it.

        Args:
            storage_keys: the ids its credentials are sealed under.
            secret: the fingerprint of what its gateway keys are hashed with.
        """
        told = []
        if not self.opens(storage_keys):
            told.append(
                "The credentials in this file are sealed under a key this installation does not"
                " have. Start it with the STORAGE_ENCRYPTION_KEY of where the file was made (or"
                " copy `secrets/storage-key` from there), or enter the credentials again."
            )
        if counts.api_key_count and secret != self.api_key_secret:
            told.append(
                "The API keys in this file were issued under another API_KEY_SECRET and are not"
                " recognised here. Take over that secret (`secrets/api-key-secret`), or issue new"
                " keys."
            )
        return told


def write(path: Path, manifest: Manifest) -> None:
    """Put the manifest into a SQLite file, in place of one it may have."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN")
        file.execute(f"DROP TABLE IF EXISTS {TABLE}")
        file.execute(f"CREATE TABLE {TABLE} (manifest TEXT NOT NULL)")
        text = msgspec.json.encode(manifest).decode()
        file.execute(f"INSERT INTO {TABLE} VALUES (?)", (text,))  # noqa: S608
        file.execute("COMMIT")


def read(path: Path) -> Manifest | None:
    """What a file says about itself; None where it says nothing that can be read."""
    try:
        with closing(opened(path)) as file:
            (text,) = file.execute(f"SELECT manifest FROM {TABLE}").fetchone()  # noqa: S608
        return msgspec.json.decode(text, type=Manifest)
    except (sqlite3.Error, TypeError, msgspec.MsgspecError):
        return None


def opened(path: Path) -> sqlite3.Connection:
    """A SQLite file for reading; nothing in it is changed and no side files are made.

    Raises:
        sqlite3.Error: it is no such file.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    # Handed from thread to thread by its users, who use it one at a time.
    file = sqlite3.connect(uri, uri=True, check_same_thread=False)
    # Text that is not UTF-8 must not keep the rest from being read.
    file.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return file


def count(file: sqlite3.Connection) -> Counts:
    """How much configuration a file holds."""
    return Counts(**{name: _count(file, table) for name, table in COUNTED.items()})


def _count(file: sqlite3.Connection, table: str) -> int:
    (number,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(number)


def sealed_under(file: sqlite3.Connection) -> tuple[str, ...]:
    """The ids of all keys under which something in a file is sealed."""
    found: set[str] = set()
    for name, columns in columns_of(file).items():
        if name in NO_SECRETS or name == TABLE:
            continue
        found.update(_ids(file, name, columns))
    return tuple(sorted(found))


def _ids(file: sqlite3.Connection, table: str, columns: Iterable[str]) -> Iterable[str]:
    for column in columns:
        rows = file.execute(
            f'SELECT "{column}" FROM "{table}" WHERE "{column}" LIKE \'%enc:v2:%\''  # noqa: S608
        )
        for (value,) in rows:
            yield from SEALED.findall(str(value))


def columns_of(file: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """The columns of every table of a file that is ours or may be, by table."""
    names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: tuple(row[1] for row in file.execute(f'PRAGMA table_info("{name}")'))
        for (name,) in names
        if name in metadata.tables
    }
