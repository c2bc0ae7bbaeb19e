"""`omniroute route ...` and `omniroute prices ...`: asks a running gateway, on the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omniroute.errors import InvalidRequest, NotFound
from omniroute_app.cli.gateway import gateway, part
from omniroute_app.cli.output import busy, say, show
from omniroute_app.cli.where import Where


def simulate(where: Where, model: str, prompt_tokens: int, seed: int | None) -> None:
    """The plan a request would get."""
    body = {"model": model, "promptTokenEstimate": prompt_tokens, "seed": seed}
    found = gateway(where).ask("POST", "/api/routes/simulate", body)
    show(found, lambda: say(simulated(found)), as_json=where.json)


def explain(where: Where, request_id: str) -> None:
    """Why a request went where it went."""
    found = gateway(where).get(f"/api/routes/{part(request_id)}")
    if not found.get("text"):  # to agents that is an answer, to scripts a failure
        raise NotFound(found["note"])
    show(found, lambda: say(found["text"]), as_json=where.json)


def replay(where: Where, request_id: str, against: str) -> None:
    """A past request planned again; with a file of changes, under those."""
    path = f"/api/routes/{part(request_id)}/replay"
    if against in ("trace", "current"):
        found = gateway(where).get(path, against=against)
    else:
        found = gateway(where).ask("POST", path, _changes(Path(against)))
    show(found, lambda: say(found["text"]), as_json=where.json)


def sync_prices(where: Where, sources: Sequence[str] | None, *, dry_run: bool) -> None:
    """Prices from public lists."""
    body = {"dryRun": dry_run, **({"sources": list(sources)} if sources else {})}
    with busy("Asking price lists ..."):
        found = gateway(where).ask("POST", "/api/pricing/sync", body)
    show(found, lambda: say(synced(found)), as_json=where.json)


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
