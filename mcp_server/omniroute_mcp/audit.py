"""What was called, by whom, how it went: hashes and summaries, never arguments. 03 §5."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec
import structlog

from omniroute.engine import Engine
from omniroute.storage.records.agents import ToolAudit
from omniroute.storage.records.runs import RunStep
from omniroute_mcp.scopes import ScopeCheck
from omniroute_mcp.tools.row import ToolRow

SUMMARY_CHARS = 200
NAME_CHARS = 100
NO_OUTPUT = "(null)"
LIMIT_S = 5.0
"""How long a call waits for its row to be written."""

log = structlog.get_logger(__name__)


async def record(
    engine: Engine,
    name: str,
    row: ToolRow | None,
    arguments: dict[str, Any],
    output: Any,
    *,
    duration_ms: int,
    key_id: str | None,
    error_code: str | None,
    denied: ScopeCheck | None = None,
    step: RunStep | None = None,
) -> None:
    """Write one row, and the step of the run it was, for a cancelled call too. A failure to write
    costs the call nothing."""
    with anyio.move_on_after(LIMIT_S, shield=True) as limit:
        try:
            entry = ToolAudit(
                tool_name=name[:NAME_CHARS],
                input_hash=input_hash(_hashed(row, arguments, denied)),
                output_summary=summary(row, arguments, output),
                duration_ms=duration_ms,
                api_key_id=key_id,
                success=error_code is None,
                error_code=error_code,
                created_at=stamp(engine.now_ms()),
            )
            async with engine.database.work() as work:
                await work.audit.add(entry)
                if step is not None:
                    await work.runs.save(step)
        except Exception:  # whatever it is, the caller has its answer
            log.exception("audit_failed", tool=name)
    if limit.cancelled_caught:
        log.error("audit_timed_out", tool=name, limit_s=LIMIT_S)


def _hashed(row: ToolRow | None, arguments: dict[str, Any], denied: ScopeCheck | None) -> Any:
    if denied is not None:
        return {**arguments, "_scopeCheck": denied}
    return row.hashed(arguments) if row is not None else arguments


def stamp(ms: int) -> str:
    """Epoch milliseconds as the log writes them: UTC, seconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def input_hash(arguments: Any) -> str:
    """Lower-case hex SHA-256 of the compact JSON of the arguments."""
    return hashlib.sha256(msgspec.json.encode(arguments)).hexdigest()


def summary(row: ToolRow | None, arguments: dict[str, Any], output: Any) -> str:
    """What the log keeps of a result, by the audit level of the tool."""
    if row is None or row.audit == "none" or output is None:
        told = NO_OUTPUT
    else:
        text = msgspec.json.encode(row.summary(output)).decode()
        told = text if len(text) <= SUMMARY_CHARS else text[:SUMMARY_CHARS] + "…"
    if row is not None and row.audit == "full":
        # Names outside the schema are the caller's own words, so they are values to us.
        known = {field.encode_name for field in msgspec.structs.fields(row.params)}
        told += f" keys=[{', '.join(sorted(known & arguments.keys()))}]"
    return told
