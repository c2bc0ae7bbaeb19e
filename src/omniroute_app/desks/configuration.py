"""Configuration files from outside: through a running gateway, or on the data directory itself."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound
from omniroute.operations.configuration import config_files
from omniroute.operations.configuration.configuration_file.document import ConfigurationRefused
from omniroute_app.cli.credentials import found_gateway, is_loopback
from omniroute_app.cli.where import Where
from omniroute_app.runner import run
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings, load_settings
from omniroute_app.wiring import open_engine

ITSELF = Caller(door="cli", credential="cli", is_operator=True)
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_PATIENCE_S = 120.0


class Desk(Protocol):
    """Where a configuration file is handed in. Answers are those of the management API."""

    def plan(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What applying it would do."""

    def apply(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What was done."""

    def export(self) -> str:
        """Everything as a file."""


def desk_of(where: Where) -> Desk:
    """The gateway that is named or runs on the data directory, or that directory itself."""
    settings = load_settings(os.environ, data_dir=where.data_dir, discover=False)
    if where.url is None and running_gateway(settings.data_dir) is None:
        return OwnDesk(settings)
    found = found_gateway(where)
    return GatewayDesk(found.url, found.headers)


class GatewayDesk:
    """A running gateway."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)

    def plan(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What applying it would do."""
        return self._json("plan", text, name, prune=prune)

    def apply(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What was done."""
        return self._json("apply", text, name, prune=prune)

    def export(self) -> str:
        """Everything as a file."""
        return self._ask("GET", "export", None, {}).text

    def _json(self, what: str, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        asked = {"name": name[-200:], "prune": str(prune).lower()}
        found: dict[str, Any] = self._ask("POST", what, text, asked).json()
        return found

    def _ask(
        self, method: str, what: str, text: str | None, asked: Mapping[str, str]
    ) -> httpx.Response:
        try:
            with httpx.Client(
                base_url=self._url,
                headers=self._headers,
                timeout=_PATIENCE_S,
                trust_env=not is_loopback(self._url),
            ) as client:
                answer = client.request(
                    method,
                    f"/api/config/{what}",
                    params=asked,
                    content=None if text is None else text.encode(),
                    headers={"content-type": "application/toml"},
                )
        except httpx.HTTPError as error:
            raise InvalidRequest(
                f"No gateway answers at {self._url}. Start one with: omniroute"
            ) from error
        if answer.status_code != 200:
            raise _refused(answer)
        return answer


def _refused(answer: httpx.Response) -> InvalidRequest:
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return InvalidRequest(f"The gateway answers {answer.status_code}.")
    details = said.get("details") if isinstance(said, dict) else None
    if details:
        return ConfigurationRefused([(one["field"], one["message"]) for one in details])
    return InvalidRequest(str(said.get("message") if isinstance(said, dict) else said))


class OwnDesk:
    """The data directory, where no gateway runs on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def plan(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What applying it would do."""

        async def ask(engine: Engine) -> Any:
            return await config_files.plan_configuration(
                engine, ITSELF, text, name=name, prune=prune
            )

        return self._builtins(ask)

    def apply(self, text: str, name: str, *, prune: bool) -> dict[str, Any]:
        """What was done."""

        async def ask(engine: Engine) -> Any:
            return await config_files.apply_configuration(
                engine, ITSELF, text, name=name, prune=prune
            )

        return self._builtins(ask)

    def export(self) -> str:
        """Everything as a file."""

        async def ask(engine: Engine) -> Any:
            return await config_files.export_configuration(engine, ITSELF)

        return str(self._builtins(ask)["text"])

    def _builtins(self, ask: Callable[[Engine], Awaitable[Any]]) -> dict[str, Any]:
        answers: list[Any] = []

        async def work() -> None:
            async with open_engine(self._settings, os.environ) as engine:
                answers.append(msgspec.to_builtins(await ask(engine)))

        run(work())
        found: dict[str, Any] = answers[0]
        return found


def read_file(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no file '{path}'. Make one with: omniroute config export {path}"
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"'{path}' cannot be read as UTF-8 text.") from error


def told(found: Mapping[str, Any]) -> str:
    """A plan as lines: `+` is created, `~` changed, `-` deleted."""
    lines = [one["text"] for one in found["warnings"]]
    for change in found["changes"]:
        line = f"  (line {change['line']})" if change.get("line") else ""
        lines.append(f"{_SIGNS[change['action']]} {change['name']}{line}")
        if change["action"] == "update":
            lines += [f"    {_field(one)}" for one in change["fields"]]
    counts = [
        f"{sum(one['action'] == action for one in found['changes'])} to {action}"
        for action in _SIGNS
    ]
    tail = f"{', '.join(counts)}, {found['unchanged']} as they are"
    if found["leftAlone"]:
        tail += f", {len(found['leftAlone'])} in no file and left alone"
    return "\n".join([*lines, f"{tail}."])


def done(found: Mapping[str, Any]) -> str:
    """What was done, with the keys that were made."""
    lines = ["Applied." if found["changes"] else "Nothing to do."]
    lines += [f"Key '{made['name']}': {made['key']}" for made in found["keys"]]
    if found["keys"]:
        lines.append("These keys are shown once.")
    return "\n".join(lines)


def _field(one: Mapping[str, Any]) -> str:
    if one["secret"]:
        return f"{one['field']}: changed"
    before = _shown(one["before"]) if "before" in one else "(default)"
    after = _shown(one["after"]) if "after" in one else "(default)"
    return f"{one['field']}: {before} -> {after}"


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else f"{text[:97]}..."
