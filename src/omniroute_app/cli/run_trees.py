"""Runs on the terminal."""

from collections.abc import Iterator
from typing import Any

from omniroute_app.cli.gateway import gateway, part
from omniroute_app.cli.output import Column, say, show, table
from omniroute_app.cli.where import Where

_COLUMNS = (
    Column("run", "runId"),
    Column("steps", "steps"),
    Column("cost", lambda row: f"${row['costUsd']:.6f}"),
    Column("started", "startedAt"),
    Column("last step", "lastStepAt"),
)


def list_runs(where: Where, limit: int) -> None:
    """The latest runs."""
    found = gateway(where).get("/api/runs", limit=limit)
    empty = "No run yet. Name one with the header X-OmniRoute-Run-Id, or use MCP or A2A."
    show(found, lambda: table(found["runs"], _COLUMNS, empty), as_json=where.json)


def show_run(where: Where, run_id: str) -> None:
    """One run as a tree."""
    found = gateway(where).get(f"/api/runs/{part(run_id)}")
    show(found, lambda: say("\n".join(told(found))), as_json=where.json)


def told(run: dict[str, Any]) -> Iterator[str]:
    """The lines of a tree, its sum first."""
    yield (
        f"{run['runId']}: {run['status']}, {run['tasks']} tasks, {run['toolCalls']} tool calls, "
        f"{run['modelCalls']} model calls, {run['inputTokens']} + {run['outputTokens']} tokens, "
        f"${run['costUsd']:.6f}"
    )
    for step in run["tree"]:
        yield from _lines(step, "  ")
    if run["truncated"]:
        yield "  ... and more steps than are shown"


def _lines(step: dict[str, Any], indent: str) -> Iterator[str]:
    took = "running" if step["durationMs"] is None else f"{step['durationMs']} ms"
    cost = f", ${step['totalCostUsd']:.6f}" if step["totalCostUsd"] else ""
    ended = step["verdict"] or step["status"]
    yield f"{indent}{step['kind']} {step['name']} ({took}{cost}): {ended}"
    for child in step["children"]:
        yield from _lines(child, indent + "  ")
