"""Secrets of a configuration file: they stand in the environment or in files, not in the text."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from omniroute.operations.access.masking import is_secret_header
from omniroute.operations.configuration.configuration_file.document import Document
from omniroute.operations.configuration.configuration_file.places import Path

OWN = frozenset(
    {
        "API_KEY_SECRET",
        "DATABASE_URL",
        "INITIAL_PASSWORD",
        "JWT_SECRET",
        "MACHINE_ID_SALT",
        "OMNIROUTE_CLI_SALT",
        "STORAGE_ENCRYPTION_KEY",
        "STORAGE_ENCRYPTION_KEY_PREVIOUS",
    }
)
"""Variables that guard the gateway itself; they are no credentials to call anybody with."""

UNRESOLVED = "a-reference-that-could-not-be-resolved"
"""Stands in for a secret that is missing, so that one mistake is told once."""

LARGEST_BYTES = 64 * 1024
_FORMS = ("env", "file")


class Secret:
    """A value that is compared and never shown."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "Secret()"


class References:
    """What `{ env = "NAME" }` and `{ file = "path" }` stand for on the gateway's own machine.

    Files lie in the data directory, outside `secrets/`, where the gateway keeps its own.
    """

    def __init__(self, environ: Mapping[str, str], data_dir: FilePath) -> None:
        self._environ = environ
        self._data_dir = data_dir

    def opened(self, written: Any, path: Path, document: Document) -> Any:
        """A value with its references resolved, also in lists and tables; what cannot be is noted.

        A text that stands there in clear is taken, with a word of warning.
        """
        if isinstance(written, str):
            document.notice(path, 'stands there in clear; write { env = "NAME" } instead.')
            return written
        if isinstance(written, list):
            return [self.opened(one, (*path, at), document) for at, one in enumerate(written)]
        if not isinstance(written, dict):
            return written
        if len(written) != 1 or next(iter(written)) not in _FORMS:
            document.problem(path, 'must be a text, { env = "NAME" } or { file = "path" }.')
            return UNRESOLVED
        ((form, name),) = written.items()
        if not isinstance(name, str) or not name:
            document.problem((*path, form), "must be a text.")
            return UNRESOLVED
        found, told = self._variable(name) if form == "env" else self._file(name)
        if told:
            document.problem((*path, form), told)
            return UNRESOLVED
        return found

    def _variable(self, name: str) -> tuple[str, str]:
        if name in OWN:
            return "", f"must not be {name}: that variable guards the gateway itself."
        value = self._environ.get(name, "").strip()
        if not value:
            return "", f"names the variable {name}, which is not set where the gateway runs."
        return value, ""

    def _file(self, name: str) -> tuple[str, str]:
        base = self._data_dir.resolve()
        path = (base / name).resolve()
        if not path.is_relative_to(base) or path.is_relative_to(base / "secrets"):
            return "", "must be a file in the data directory, outside 'secrets'."
        try:
            if path.stat().st_size > LARGEST_BYTES:
                return "", f"is larger than {LARGEST_BYTES} bytes."
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return "", f"names the file '{name}', which cannot be read in the data directory."
        return text, "" if text else f"names the file '{name}', which is empty."


def told_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Headers with the values of those that are called like secrets kept back."""
    return {
        name: Secret(value) if is_secret_header(name) else value for name, value in headers.items()
    }


def opened_headers(references: References, written: Any, path: Path, document: Document) -> Any:
    """Headers with their references resolved."""
    if not isinstance(written, dict):
        return written
    return {
        name: references.opened(value, (*path, name), document)
        if is_reference(value) or is_secret_header(name)
        else value
        for name, value in written.items()
    }


def is_reference(value: object) -> bool:
    """Whether a value of a file stands for a secret."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _FORMS
