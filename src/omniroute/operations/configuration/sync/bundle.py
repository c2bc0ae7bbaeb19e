"""The configuration as other gateways take it, with a version that changes when it does. 02 §16."""

import hashlib
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from omniroute.engine import Engine
from omniroute.operations.access.masking import without_secrets
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.connections import SECRET_COLUMNS
from omniroute.storage.records.configuration import ApiKey, Connection

_OF_THE_MOMENT = frozenset(
    {
        "test_status",
        "last_tested",
        "last_error",
        "last_error_at",
        "last_error_type",
        "last_error_source",
        "error_code",
        "rate_limited_until",
        "backoff_level",
        "last_health_check_at",
        "updated_at",
    }
)
"""What an account is like right now is nothing to other gateways."""

_KEY_FIELDS = (
    "id",
    "name",
    "prefix",
    "suffix",
    "scopes",
    "allowed_models",
    "allowed_connections",
    "is_active",
    "expires_at",
    "revoked_at",
)
"""What is told of gateway keys: not the hash, which counts for this gateway alone."""


class Bundle(Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything other gateways need. Rows are in the order of their ids."""

    providers: list[dict[str, Any]]
    provider_nodes: list[dict[str, Any]]
    combos: list[dict[str, Any]]
    model_aliases: dict[str, str]
    api_keys: list[dict[str, Any]]


class Versioned(Struct, frozen=True, kw_only=True):
    """A bundle, and the SHA-256 of its canonical JSON."""

    version: str
    bundle: Bundle


def versioned(engine: Engine, *, credentials: bool) -> Versioned:
    """The configuration in force.

    Args:
        credentials: whether keys and tokens of accounts are in it.
    """
    snapshot, found = engine.snapshot, {row.id for row in engine.configuration.found}
    accounts = [
        _account(row, credentials)
        for row in snapshot.connections.values()
        if row.id != DEMO_ACCOUNT.id and row.id not in found
    ]
    keys = {key.id: key for key in snapshot.keys.values()}
    bundle = Bundle(
        providers=_in_order(accounts),
        provider_nodes=_in_order([_camel(asdict(row)) for row in snapshot.nodes.values()]),
        combos=_in_order([_camel(asdict(row)) for row in snapshot.combos.values()]),
        model_aliases=dict(sorted(snapshot.aliases.items())),
        api_keys=_in_order([_key(key) for key in keys.values()]),
    )
    canonical = msgspec.json.encode(bundle, order="sorted")
    return Versioned(version=hashlib.sha256(canonical).hexdigest(), bundle=bundle)


def _account(row: Connection, credentials: bool) -> dict[str, Any]:
    told = {name: value for name, value in asdict(row).items() if name not in _OF_THE_MOMENT}
    options = told.pop("options")
    if not credentials:
        told = {name: value for name, value in told.items() if name not in SECRET_COLUMNS}
        options = without_secrets(options)
    return {**_camel(told), "providerSpecificData": options}


def _key(key: ApiKey) -> dict[str, Any]:
    return _camel({name: getattr(key, name) for name in _KEY_FIELDS})


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def _camel(row: dict[str, Any]) -> dict[str, Any]:
    def named(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    return {named(name): value for name, value in row.items()}
