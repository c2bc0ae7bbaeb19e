"""Finding the gateway, and what to show it: the token of this machine, a login, or a key."""

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute_app.cli.where import Where
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings, load_settings, with_env_file

CLI_TOKEN_HEADER = "x-omniroute-cli-token"  # noqa: S105
COOKIE = "auth_token"


@dataclass(frozen=True, slots=True)
class Found:
    """A gateway: its address without a slash at the end, and what to send along."""

    url: str
    headers: Mapping[str, str]
    data_dir: Path


class Login(Struct, frozen=True, omit_defaults=True):
    """What a gateway gave or was given: a session, or a key."""

    session: str | None = None
    key: str | None = None


def found_gateway(where: Where) -> Found:
    """The gateway a command is about: as told, else the one that runs on the data directory,
    else where the settings say that it would run.

    Raises:
        InvalidRequest: the address is none, or a setting cannot be used.
    """
    settings = load_settings(os.environ, data_dir=where.data_dir)
    url = where.url or running_gateway(settings.data_dir) or settings.public_url
    url = checked_url(url)
    return Found(url, _headers(url, where.key, settings), settings.data_dir)


def checked_url(text: str) -> str:
    """An address without a slash at the end.

    Raises:
        InvalidRequest: it is not one of a web server.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidRequest(f"'{text}' is no address. Write one like http://localhost:20128.")
    return text.rstrip("/")


def _headers(url: str, key: str | None, settings: Settings) -> dict[str, str]:
    if key is not None:  # whoever names a key wants to be seen as its holder
        return {"authorization": f"Bearer {secret_of(key)}"}
    headers = {}
    token = None if settings.disable_cli_token else _cli_token(settings)
    local = is_loopback(url)
    if local and token is not None:
        headers[CLI_TOKEN_HEADER] = token
    login = logins(settings.data_dir).get(url)
    if login is not None and login.session:
        headers["cookie"] = f"{COOKIE}={login.session}"
    remembered = login.key if login is not None else None
    if remembered or settings.api_key:
        headers["authorization"] = f"Bearer {remembered or settings.api_key}"
    return headers


def _cli_token(settings: Settings) -> str | None:
    """The token of the data directory; None where there has never been a gateway."""
    if not (settings.data_dir / "secrets" / "installation-id").exists():
        return None
    from omniroute.storage.secrets import Secrets

    try:
        environ = with_env_file(os.environ, settings.data_dir)
        return Secrets.load_or_create(settings.data_dir, environ).cli_token(settings.cli_salt)
    except StorageUnavailable:  # another user's data directory: a login or a key may do
        return None


def is_loopback(url: str) -> bool:
    """Whether an address cannot lead off this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secret_of(text: str) -> str:
    """A secret as given; `-` reads it from standard input, so that no history has it.

    Raises:
        InvalidRequest: there is none.
    """
    secret = sys.stdin.readline().strip() if text == "-" else text.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise InvalidRequest("The key is empty or has characters that no key has.")
    return secret


def logins(data_dir: Path) -> dict[str, Login]:
    """Every remembered login by address.

    Raises:
        InvalidRequest: the file is not one of ours.
    """
    path = logins_file(data_dir)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Login])
    except OSError:
        return {}
    except msgspec.MsgspecError as error:
        raise InvalidRequest(
            f"The remembered logins in {path} cannot be read. Delete the file and sign in again."
        ) from error


def remember(data_dir: Path, url: str, login: Login | None) -> None:
    """Keep a login for an address, or forget it, in a file that only its owner can read."""
    known = logins(data_dir)
    if login is None:
        known.pop(url, None)
    else:
        known[url] = login
    path = logins_file(data_dir)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(known)) + b"\n")
    draft.replace(path)


def logins_file(data_dir: Path) -> Path:
    """Where logins are remembered."""
    return data_dir / "cli" / "logins.json"
