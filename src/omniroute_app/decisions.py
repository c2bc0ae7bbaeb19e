"""`omniroute route ...` and `omniroute prices ...`: asks a running gateway, on the terminal."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from omniroute.errors import InvalidRequest, NotFound

Say = Callable[[str], None]


class Asking:
    """Asks a running gateway and prints what it says, as sentences or as JSON.

    Args:
        key: an API key with the scope `manage`, where the gateway wants one.
    """

    def __init__(self, base_url: str, key: str | None, say: Say, *, as_json: bool) -> None:
        self._base_url = base_url
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._say = say
        self._as_json = as_json

    def simulate(self, model: str, prompt_tokens: int, seed: int | None) -> None:
        """The plan a request would get."""
        body = {"model": model, "promptTokenEstimate": prompt_tokens, "seed": seed}
        found = self._ask("POST", "/api/routes/simulate", body)
        self._print(found, lambda: simulated(found))

    def explain(self, request_id: str) -> None:
        """Why a request went where it went."""
        found = self._ask("GET", f"/api/routes/{request_id}")
        if not found.get("text"):  # to agents that is an answer, to scripts a failure
            raise NotFound(found["note"])
        self._print(found, lambda: found["text"])

    def replay(self, request_id: str, against: str) -> None:
        """A past request planned again; with a file of changes, under those."""
        path = f"/api/routes/{request_id}/replay"
        if against in ("trace", "current"):
            found = self._ask("GET", f"{path}?against={against}")
        else:
            found = self._ask("POST", path, _changes(Path(against)))
        self._print(found, lambda: found["text"])

    def sync_prices(self, sources: Sequence[str] | None, *, dry_run: bool) -> None:
        """Prices from public lists."""
        body = {"dryRun": dry_run, **({"sources": list(sources)} if sources else {})}
        found = self._ask("POST", "/api/pricing/sync", body)
        self._print(found, lambda: synced(found))

    def _print(self, found: dict[str, Any], told: Callable[[], str]) -> None:
        self._say(json.dumps(found, indent=2) if self._as_json else told())

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            with httpx.Client(base_url=self._base_url, headers=self._headers, timeout=60) as client:
                response = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise InvalidRequest(
                f"No gateway answers at {self._base_url}. Start one with: omniroute"
            ) from error
        found: dict[str, Any] = response.json()
        if response.status_code != 200:
            said = found.get("error", found)
            raise InvalidRequest(said["message"] if isinstance(said, dict) else str(said))
        return found


def synced(found: dict[str, Any]) -> str:
    """What came of a price sync."""
    kept = "Nothing is kept" if found["dryRun"] else "In force from now on"
    told = (
        f"{found['modelCount']} prices at {found['providerCount']} providers "
        f"from {found['source']}. {kept}."
    )
    return "\n".join([told, *found.get("warnings", ())])


def _changes(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(
            f"There is no file '{path}'. Write `trace`, `current`, or the path of a JSON file."
        ) from error
    except ValueError as error:
        raise InvalidRequest(f"'{path}' is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidRequest(f"'{path}' must hold an object: combos, settings, pricing.")
    return found


def simulated(found: dict[str, Any]) -> str:
    """A dry run as a table."""
    way = f"combo {found['combo']}" if found["combo"] else "one model"
    lines = [f"{found['strategy']} over {way}, seed {found['seed']}"]
    for place, row in enumerate(found["simulatedPath"], start=1):
        cost = row["estimatedCost"]
        lines.append(
            f"{place:>3}  {row['provider']}/{row['model']}  account {row['connection']}  "
            f"{'price unknown' if cost is None else f'${cost:.6f}'}  {'; '.join(row['reasons'])}"
        )
    lines += [
        f"  -  {row['provider']}/{row['model']}: {row['reason'].replace('_', ' ')}"
        for row in found["excluded"]
    ]
    lines += [f"Note: {note}" for note in found["notes"]]
    return "\n".join(lines)
