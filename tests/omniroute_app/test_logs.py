"""Lines of the log: no credential in them, wherever it hides; files that do not grow for ever."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from omniroute_app.logs import LogFile, configure_logs, file_of, redacted
from omniroute_app.settings import load_settings

CANARY = "sk-canary0123456789abcdef"

EVENTS: dict[str, dict[str, Any]] = {
    "in the text": {"event": f"failed with {CANARY}"},
    "in a value": {"event": "x", "header": f"Bearer {CANARY}"},
    "in an object": {"event": "x", "request": {"headers": {"authorization": CANARY}}},
    "in a list": {"event": "x", "keys": ["plain", (CANARY,)]},
    "by its name": {"event": "x", "apiKey": "not-of-a-known-form"},
    "by a name inside": {"event": "x", "account": {"client_secret": "not-of-a-known-form"}},
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_no_credential_reaches_a_line(event: dict[str, Any]) -> None:
    told = json.dumps(redacted(None, "", event))
    assert CANARY not in told
    assert "not-of-a-known-form" not in told


@pytest.fixture
def own_logging() -> Iterator[None]:
    """What a test configures is gone after it."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    before = structlog.get_config()
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.mark.usefixtures("own_logging")
def test_lines_go_to_a_private_file_that_is_put_aside_when_full(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    configure_logs("info", "text", LogFile(path=path, max_bytes=2_000, max_files=2))
    for number in range(100):
        logging.getLogger("some.library").info("line %d for %s", number, CANARY)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["app.log", "app.log.1", "app.log.2"]
    assert path.stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["event"] == "line 99 for [redacted]"
    assert lines[-1]["level"] == "info"


SIZES = {"50M": 50 * 1024**2, "2k": 2048, "1000": 1000}


@pytest.mark.parametrize(("text", "size"), SIZES.items(), ids=SIZES)
def test_sizes_may_have_units(tmp_path: Path, text: str, size: int) -> None:
    settings = load_settings({"APP_LOG_MAX_FILE_SIZE": text}, data_dir=tmp_path)
    assert settings.log_max_bytes == size


def test_the_data_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path / "data")
    file = file_of(settings)
    assert file is not None
    assert file.path == tmp_path / "data/logs/app.log"
    assert settings.data_dir.stat().st_mode & 0o077 == 0
    off = load_settings({"APP_LOG_TO_FILE": "false"}, data_dir=tmp_path / "other")
    assert file_of(off) is None


@pytest.mark.usefixtures("own_logging")
def test_values_of_statements_are_in_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    configure_logs("debug", "text", LogFile(path=path, max_bytes=2_000, max_files=2))
    logging.getLogger("aiosqlite").debug("executing %s", "what somebody has said")
    assert path.read_text() == ""
