"""The care of the database as routes (02 §10.10, §28)."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, patch, post, put
from omniroute.operations.storage import retention, storage_care
from omniroute.operations.storage.retention import DatabaseChange, DatabaseSettings, Purged

_SETTINGS = "/api/settings/database"


@get(_SETTINGS, tags=["Storage"], operation_id="get_database_settings")
async def get_settings(engine: TheEngine, operator: Operator) -> DatabaseSettings:
    """How long records stay, and how many of them."""
    return await retention.database_settings(engine, operator)


@patch(_SETTINGS, tags=["Storage"], operation_id="change_database_settings")
async def change_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[DatabaseChange]
) -> DatabaseSettings:
    """Change what is named, by kind of record; null restores a default."""
    return await retention.change_database_settings(engine, operator, data)


@put(_SETTINGS, tags=["Storage"], operation_id="replace_database_settings")
async def put_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[DatabaseChange]
) -> DatabaseSettings:
    """The same as PATCH, for clients that say PUT."""
    return await retention.change_database_settings(engine, operator, data)


@post(f"{_SETTINGS}/vacuum", status_code=200, tags=["Storage"], operation_id="vacuum_database")
async def vacuum(engine: TheEngine, operator: Operator) -> storage_care.Vacuumed:
    """Give the room of removed rows back to the disk. Writers wait while it runs."""
    return await storage_care.vacuum(engine, operator)


@post(
    f"{_SETTINGS}/refresh-stats",
    status_code=200,
    tags=["Storage"],
    operation_id="refresh_database_statistics",
)
async def refresh(engine: TheEngine, operator: Operator) -> storage_care.Statistics:
    """Count the rows of all tables, and renew what the database plans queries by."""
    return await storage_care.refresh_statistics(engine, operator)


@post("/api/settings/purge-logs", status_code=200, tags=["Storage"], operation_id="purge_logs")
async def purge_logs(engine: TheEngine, operator: Operator) -> Purged:
    """Remove entries of every log whose time is over."""
    return await retention.purge(engine, operator, retention.LOGS)


@post(
    "/api/settings/purge-call-logs",
    status_code=200,
    tags=["Storage"],
    operation_id="purge_call_logs",
)
async def purge_call_logs(engine: TheEngine, operator: Operator) -> Purged:
    """Remove entries of the call log whose time is over."""
    return await retention.purge(engine, operator, retention.CALL_LOGS)


@post(
    "/api/settings/purge-detailed-logs",
    status_code=200,
    tags=["Storage"],
    operation_id="purge_detailed_logs",
)
async def purge_detailed_logs(engine: TheEngine, operator: Operator) -> Purged:
    """Remove routing decisions whose time is over."""
    return await retention.purge(engine, operator, retention.DETAILED_LOGS)


@post(
    "/api/settings/purge-quota-snapshots",
    status_code=200,
    tags=["Storage"],
    operation_id="purge_quota_snapshots",
)
async def purge_quota_snapshots(engine: TheEngine, operator: Operator) -> Purged:
    """Remove reports on quotas whose time is over."""
    return await retention.purge(engine, operator, ("quotaSnapshots",))


@get("/api/storage/health", tags=["Storage"], operation_id="storage_health")
async def storage_health(engine: TheEngine, operator: Operator) -> storage_care.StorageHealth:
    """Where the data lies, how large it is, and how old the latest backup."""
    return await storage_care.storage_health(engine, operator)


@get("/api/db/health", tags=["Storage"], operation_id="database_health")
async def database_health(engine: TheEngine, operator: Operator) -> storage_care.DatabaseHealth:
    """Check the database through. On a large file that takes seconds; requests go on."""
    return await storage_care.database_health(engine, operator)


STORAGE: tuple[HTTPRouteHandler, ...] = (
    get_settings,
    change_settings,
    put_settings,
    vacuum,
    refresh,
    purge_logs,
    purge_call_logs,
    purge_detailed_logs,
    purge_quota_snapshots,
    storage_health,
    database_health,
)
"""Every route about the care of the database."""
