"""Who did what, and who may not come in for a while."""

from sqlalchemy import BigInteger, Column, Table

from omniroute.storage.tables.columns import AnyText, JsonText, RowNumber, metadata

# Who changed what. `details` never hold credentials.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("timestamp_ms", BigInteger, nullable=False, index=True),
    Column("action", AnyText, nullable=False, index=True),
    Column("actor", AnyText, nullable=False, index=True),
    Column("target", AnyText),
    Column("details", JsonText),
    Column("metadata", JsonText),
    Column("ip_address", AnyText),
    Column("resource_type", AnyText, nullable=False, index=True),
    Column("status", AnyText, nullable=False, index=True),
    Column("request_id", AnyText, index=True),
    sqlite_autoincrement=True,
)

# Who failed to sign in, and how often of late.
lockouts = Table(
    "lockouts",
    metadata,
    Column("identifier", AnyText, primary_key=True),
    Column("attempts", JsonText),  # epoch milliseconds
    Column("locked_until_ms", BigInteger, nullable=False, index=True),
)
