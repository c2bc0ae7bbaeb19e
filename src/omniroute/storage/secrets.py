"""The secrets a data directory is born with: generated on first start, private, then kept."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage import locks
from omniroute.storage.secret_box import SecretBox, derive_key

_SHORTEST_SESSION_SECRET = 32


class Secrets(Struct, frozen=True, kw_only=True):
    """What guards one installation. Texts, so that each can also come from the environment.

    `machine_id` is 16 hex digits, not a secret: it is part of every gateway key.
    """

    installation_id: str

    storage_key: str
    previous_storage_key: str | None = None
    api_key_secret: str
    session_secret: str
    machine_id: str

    @classmethod
    def load_or_create(cls, data_dir: Path, environ: Mapping[str, str]) -> "Secrets":
        """Read the secrets, making those that do not exist yet; environment values win.

        Processes that start at once agree: whoever is second reads what the first one made.

        Raises:
            InvalidRequest: a variable is set but blank.
            StorageUnavailable: the directory cannot be read or written.
        """
        folder = data_dir / "secrets"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Hashed, so that the id in a key does not give the installation id away.
            salt = environ.get("MACHINE_ID_SALT", "endpoint-proxy-salt")
            installation_id = _read_or_create(folder / "installation-id")
            return cls(
                installation_id=installation_id,
                storage_key=_variable(environ, "STORAGE_ENCRYPTION_KEY")
                or _read_or_create(folder / "storage-key"),
                previous_storage_key=_variable(environ, "STORAGE_ENCRYPTION_KEY_PREVIOUS"),
                api_key_secret=_variable(environ, "API_KEY_SECRET")
                or _read_or_create(folder / "api-key-secret"),
                session_secret=_variable(environ, "JWT_SECRET", _SHORTEST_SESSION_SECRET)
                or _read_or_create(folder / "session-secret"),
                machine_id=hashlib.sha256((salt + installation_id).encode()).hexdigest()[:16],
            )
        except OSError as error:
            raise StorageUnavailable(
                "The secrets in the data directory cannot be read or created; check that the"
                " directory is writable and has space left."
            ) from error

    def cli_token(self, salt: str) -> str:
        """What the command line shows the gateway on the same machine: 64 hex digits.

        Made with the private id of the installation, not with the machine id of the spec: that
        one is part of every gateway key, and whoever has a key could make the token.
        """
        return hmac.digest(self.installation_id.encode(), salt.encode(), "sha256").hex()

    def box(self) -> SecretBox:
        """The box for stored credentials. Takes some 50 ms where a key is a passphrase."""
        previous = self.previous_storage_key
        return SecretBox(
            derive_key(self.storage_key), () if previous is None else (derive_key(previous),)
        )


def _variable(environ: Mapping[str, str], name: str, shortest: int = 1) -> str | None:
    value = environ.get(name)
    if value is not None and not value.strip():
        raise InvalidRequest(
            f"{name} is set but blank. Give it a value, or unset it to use the generated one.",
            param=name,
        )
    if value is not None and len(value) < shortest:
        raise InvalidRequest(
            f"{name} is too short to sign with: it needs {shortest} characters. Unset it to use"
            " the generated one.",
            param=name,
        )
    return value


def _read_or_create(path: Path) -> str:
    """The file's text; 64 fresh hex digits where there is no file."""
    if not path.exists():
        with locks.held(path.with_name("lock")):
            if not path.exists():
                _write_private(path, secrets.token_hex(32))
    text = path.read_text(encoding="ascii").strip()
    if not text:
        raise StorageUnavailable(
            f"The secret file {path.name!r} in the data directory is empty. Restore it from a"
            " backup; delete it only if what it protects may be lost."
        )
    return text


def _write_private(path: Path, text: str) -> None:
    """Create the file whole or not at all: a crash never leaves half a secret."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # left by a process that died here; we hold the lock
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(fd)
    draft.replace(path)
