"""Which scopes a tool call has, where they come from, and whether they suffice. 03 §3.2-3.3."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, TypeAlias

from msgspec import Struct

from omniroute.caller import covers

Source: TypeAlias = Literal["authInfo", "meta", "env", "none"]


class Granted(Struct, frozen=True):
    """The scopes of a call and their source."""

    scopes: frozenset[str]
    source: Source


class ScopeCheck(Struct, frozen=True, rename="camel"):
    """A check as the audit hashes it; every list is sorted."""

    caller_id: str
    source: Source
    required: list[str]
    provided: list[str]
    missing: list[str]

    @classmethod
    def of(cls, caller_id: str, held: Granted, required: frozenset[str]) -> Self:
        """Hold the scopes of a call against those that are required."""
        return cls(
            caller_id,
            held.source,
            sorted(required),
            sorted(held.scopes),
            missing(required, held.scopes),
        )


def granted(
    key_scopes: frozenset[str] | None,
    meta: Mapping[str, Any],
    from_environment: frozenset[str],
    *,
    trusted: bool,
) -> Granted:
    """The first non-empty of key, `_meta`, environment.

    Over HTTP `_meta` only narrows what the caller has: it is the caller who writes it. A
    `trusted` caller, the process that started us over stdio, may assert its scopes there.
    """
    asserted = _asserted(meta)
    if key_scopes:
        kept = key_scopes if asserted is None else _intersection(key_scopes, asserted)
        return Granted(kept, "authInfo")
    if asserted is not None and trusted:
        return Granted(asserted, "meta")
    if from_environment:
        kept = from_environment
        if asserted is not None:
            kept = _intersection(from_environment, asserted)
        return Granted(kept, "env")
    return Granted(frozenset(), "none")


def missing(required: Iterable[str], held: frozenset[str]) -> list[str]:
    """The required scopes that nothing held satisfies."""
    return sorted(one for one in required if not covers(held, one))


def listed(values: Iterable[object]) -> frozenset[str]:
    """Scopes from outside: trimmed, blanks dropped."""
    return frozenset(str(value).strip() for value in values if str(value).strip())


def _intersection(held: frozenset[str], asserted: frozenset[str]) -> frozenset[str]:
    narrowed = {one for one in asserted if covers(held, one)}
    narrowed |= {have for have in held if covers(asserted, have)}
    return frozenset(narrowed)


def _asserted(meta: Mapping[str, Any]) -> frozenset[str] | None:
    for place in (meta, meta.get("auth"), meta.get("omniroute")):
        found = place.get("scopes") if isinstance(place, Mapping) else None
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            named = listed(found)
            if named:
                return named
    return None
