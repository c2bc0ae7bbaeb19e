"""Secrets are made once, kept private, and agreed upon by processes that start together."""

import re
import stat
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from omniroute.errors import InvalidRequest, StorageUnavailable
from omniroute.storage.key_files import KeyFiles, id_of
from omniroute.storage.key_text import key_hash, new_api_key
from omniroute.storage.secret_box import SecretBox, derive_key
from omniroute.storage.secrets import Secrets
from omniroute.storage.session_secret import SessionSecret

LOAD = """
import sys
from pathlib import Path
import msgspec
from omniroute.storage.key_files import KeyFiles
from omniroute.storage.secrets import Secrets
made = Secrets.load_or_create(Path(sys.argv[1]), {})
box = KeyFiles(Path(sys.argv[1]), {}).box()
print(msgspec.json.encode([made, box.key_id]).decode())
"""


def test_the_first_start_makes_secrets_and_the_next_ones_keep_them(tmp_path: Path) -> None:
    first = Secrets.load_or_create(tmp_path / "data", {})
    assert Secrets.load_or_create(tmp_path / "data", {}) == first
    assert re.fullmatch("[0-9a-f]{64}", first.api_key_secret)
    assert first.api_key_secret != first.installation_id
    assert re.fullmatch("[0-9a-f]{16}", first.machine_id)
    assert Secrets.load_or_create(tmp_path / "other", {}) != first


def test_secret_files_are_private(tmp_path: Path) -> None:
    Secrets.load_or_create(tmp_path / "data", {})
    KeyFiles(tmp_path / "data", {}).box()
    SessionSecret(tmp_path / "data", {})
    folder = tmp_path / "data" / "secrets"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(
        (
            "installation-id",
            "storage-key",
            "api-key-secret",
            "session-secret",
            "webhook-secret",
            "card-key",
            "lock",
        ),
        0o600,
    )
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_variables_win_over_files(tmp_path: Path) -> None:
    made = Secrets.load_or_create(tmp_path, {})
    given = {"API_KEY_SECRET": "b", "JWT_SECRET": "c" * 32, "MACHINE_ID_SALT": "d"}
    loaded = Secrets.load_or_create(tmp_path, given)
    assert loaded == Secrets(
        installation_id=made.installation_id,
        api_key_secret="b",
        machine_id=loaded.machine_id,
        webhook_secret=made.webhook_secret,
        card_key=made.card_key,
    )
    assert loaded.machine_id != made.machine_id
    assert SessionSecret(tmp_path, given).current() == "c" * 32


def test_a_key_of_the_environment_seals_and_the_one_before_it_opens(tmp_path: Path) -> None:
    sealed = KeyFiles(tmp_path, {}).box().seal("text", "t:1:c")
    given = {
        "STORAGE_ENCRYPTION_KEY": "a passphrase",
        "STORAGE_ENCRYPTION_KEY_PREVIOUS": (tmp_path / "secrets/storage-key").read_text().strip(),
    }
    box = KeyFiles(tmp_path, given).box()
    assert box.open(sealed, "t:1:c") == "text"
    assert box.key_id == id_of("a passphrase")


@pytest.mark.parametrize(
    "name",
    ["STORAGE_ENCRYPTION_KEY", "STORAGE_ENCRYPTION_KEY_PREVIOUS", "API_KEY_SECRET", "JWT_SECRET"],
)
def test_a_blank_variable_is_refused_by_name(name: str, tmp_path: Path) -> None:
    def load() -> None:
        KeyFiles(tmp_path, {name: " "})
        SessionSecret(tmp_path, {name: " "})
        Secrets.load_or_create(tmp_path, {name: " "})

    with pytest.raises(InvalidRequest, match=f"{name} is set but blank"):
        load()


def test_an_emptied_secret_file_is_not_replaced(tmp_path: Path) -> None:
    KeyFiles(tmp_path, {}).box()
    path = tmp_path / "secrets" / "storage-key"
    path.write_text("")
    with pytest.raises(StorageUnavailable, match="'storage-key'"):
        KeyFiles(tmp_path, {}).box()
    assert path.read_text() == ""


def test_a_data_directory_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageUnavailable):
        Secrets.load_or_create(tmp_path / "data", {})


@pytest.mark.anyio
async def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    answers: set[bytes] = set()

    async def start() -> None:
        command = [sys.executable, "-c", LOAD, str(tmp_path / "data")]
        answers.add((await anyio.run_process(command)).stdout)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(start)
    made = Secrets.load_or_create(tmp_path / "data", {})
    key = KeyFiles(tmp_path / "data", {}).box().key_id
    assert answers == {msgspec.json.encode([made, key]) + b"\n"}


BOX = SecretBox(derive_key("1" * 64))
SEALED = BOX.seal("grüße", "connections:1:api_key")
UNOPENED = {
    "another row": (BOX, SEALED, "connections:2:api_key"),
    "another column": (BOX, SEALED, "connections:1:token"),
    "another key": (SecretBox(derive_key("2" * 64)), SEALED, "connections:1:api_key"),
    "a flipped byte": (BOX, SEALED[:-6] + "AAAA==", "connections:1:api_key"),
    "a cut value": (BOX, SEALED[:25], "connections:1:api_key"),
    "an older format": (BOX, "enc:v1:00:00:00", "connections:1:api_key"),
    "clear text": (BOX, "sk-clear", "connections:1:api_key"),
    "nothing": (BOX, "", "connections:1:api_key"),
}


def test_what_was_sealed_opens_in_its_place() -> None:
    assert re.fullmatch(r"enc:v2:[0-9a-f]{8}:[A-Za-z0-9+/]+=*", SEALED)
    assert BOX.open(SEALED, "connections:1:api_key") == "grüße"
    assert BOX.seal("grüße", "connections:1:api_key") != SEALED


@pytest.mark.parametrize(("box", "stored", "where"), UNOPENED.values(), ids=UNOPENED)
def test_what_does_not_open_is_logged_without_its_value(
    box: SecretBox, stored: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert box.open(stored, where) is None
    (record,) = caplog.records
    assert where in record.getMessage()
    assert not stored or stored not in record.getMessage()


def test_a_previous_key_still_opens_and_no_longer_seals() -> None:
    rotated = SecretBox(derive_key("2" * 64), [derive_key("1" * 64)])
    assert rotated.open(SEALED, "connections:1:api_key") == "grüße"
    assert BOX.open(rotated.seal("new", "t:1:c"), "t:1:c") is None


def test_a_passphrase_is_stretched_and_a_key_is_taken_as_it_is() -> None:
    assert derive_key("ab" * 32) == bytes.fromhex("ab" * 32)
    assert len(derive_key("correct horse")) == 32
    assert derive_key("correct horse") != derive_key("correct horsf")


def test_a_new_key_has_the_documented_form() -> None:
    # The check is PBKDF2-HMAC-SHA256(machine id + key id, salt = secret, 1000 rounds), 8 digits.
    key = new_api_key("a1b2c3d4e5f60718", "secret", lambda size: bytes(range(size)))
    assert key == "sk-a1b2c3d4e5f60718-000102030405060708090a0b0c0d0e0f-eb74ed63"


def test_the_key_hash_depends_on_text_and_secret() -> None:
    assert key_hash("key", "The quick brown fox jumps over the lazy dog") == (
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )
    assert key_hash("a", "x") != key_hash("b", "x")
    assert re.fullmatch("[0-9a-f]{64}", key_hash("a", "any bytes: \udcff ü \x00"))


def test_a_short_session_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="JWT_SECRET is too short"):
        SessionSecret(tmp_path, {"JWT_SECRET": "x" * 31})
