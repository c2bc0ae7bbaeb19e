"""The metadata all tables belong to, and the types of columns both databases read alike."""

import logging
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

log = logging.getLogger(__name__)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class AnyText(TypeDecorator[str]):
    """Text from outside. PostgreSQL refuses NUL and UTF-8 has no lone surrogates: both are
    replaced, because a name a client made up must not make a record unstorable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\x00" not in value):
            return value
        clean = value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return clean.encode("utf-8", "replace").decode()


class JsonText(TypeDecorator[Any]):
    """JSON kept as text, so both databases return exactly what was written.

    Reads None where the stored text is not JSON; the repository then takes its default.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        if value is None:
            return None
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            log.warning("a stored JSON column is damaged and is read as empty")
            return None


# SQLite numbers rows by itself only for a column declared exactly INTEGER PRIMARY KEY.
RowNumber = BigInteger().with_variant(Integer, "sqlite")
