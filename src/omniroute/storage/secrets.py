"""The secrets a data directory is born with: generated on first start, private, then kept."""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from omniroute.errors import StorageUnavailable
from omniroute.storage.secret_files import read_or_create, variable


class Secrets(Struct, frozen=True, kw_only=True):
    """What guards one installation, besides the storage key (see `key_files`) and the secret of
    browser sessions. Texts, so that each can also come from the environment.

    `machine_id` is 16 hex digits, not a secret: it is part of every gateway key. `webhook_secret`
    signs messages to receivers, in the form of Standard Webhooks: `whsec_` and base64. `card_key`
    signs the agent card: a P-256 key as PEM text.
    """

    installation_id: str
    api_key_secret: str
    machine_id: str
    webhook_secret: str
    card_key: str

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
            installation_id = read_or_create(folder / "installation-id")
            return cls(
                installation_id=installation_id,
                api_key_secret=variable(environ, "API_KEY_SECRET")
                or read_or_create(folder / "api-key-secret"),
                machine_id=hashlib.sha256((salt + installation_id).encode()).hexdigest()[:16],
                webhook_secret=read_or_create(folder / "webhook-secret", fresh_webhook_secret),
                card_key=read_or_create(folder / "card-key", fresh_card_key),
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

    def derived_key(self, purpose: str) -> bytes:
        """32 bytes for one purpose, the same in every process on this data directory."""
        return hmac.digest(self.installation_id.encode(), purpose.encode(), "sha256")


def fresh_webhook_secret() -> str:
    """A new secret to sign messages with."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def fresh_card_key() -> str:
    """A new key to sign the agent card with."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
        .strip()
    )
