"""Many accounts of one provider at once. Source: 02 §4.9."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.accounts.account_checks import all_tested
from omniroute.operations.accounts.account_view import ConnectionView, shown
from omniroute.operations.accounts.connections import (
    ConnectionInput,
    Name,
    Priority,
    checked_account,
    in_place_of,
    known_provider,
    start_afresh,
)
from omniroute.storage.records.configuration import Connection


class Entry(Struct, frozen=True, kw_only=True, rename="camel"):
    """One key."""

    name: Name
    api_key: Annotated[str, Meta(min_length=1, max_length=10_000)]


class BulkInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keys of one provider. `validate_keys` stores only those the provider takes."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)]
    entries: Annotated[tuple[Entry, ...], Meta(min_length=1, max_length=200)]
    priority: Priority = 1
    global_priority: Priority | None = None
    provider_specific_data: dict[str, Any] = {}
    validate_keys: bool = False


class BulkProblem(Struct, frozen=True):
    """Why a key was not stored; `index` is its place in the list, from 0."""

    index: int
    name: str
    message: str


class BulkReport(Struct, frozen=True, kw_only=True):
    """What was stored and what was not."""

    success: int
    failed: int
    total: int
    created: tuple[ConnectionView, ...]
    errors: tuple[BulkProblem, ...]


async def create_connections(engine: Engine, caller: Caller, new: BulkInput) -> BulkReport:
    """Store accounts in one go. One with the same provider and name is replaced.

    Raises:
        InvalidRequest: the provider is not known, or its options are not valid.
        NotFound: `provider` looks like a node id and no such node exists.
    """
    provider = known_provider(engine, new.provider.strip())
    good, problems = _checked(engine, provider, new)
    if new.validate_keys:
        reports = await all_tested(engine, list(good.values()))
        for index, report in zip(list(good), reports, strict=True):
            if not report.valid:
                told = report.error or "The provider does not take this key."
                problems.append(BulkProblem(index, good.pop(index).name, told))
            else:
                good[index] = replace(
                    good[index], test_status="active", last_tested=report.tested_at
                )
    made: list[Connection] = []
    if good:
        async with engine.configuration.change(
            caller, "provider.credentials.created", f"{provider}: {len(good)} accounts"
        ) as work:
            for account in good.values():
                old = await work.connections.find(provider, account.name)
                made.append(in_place_of(old, account))
                await work.connections.save(made[-1])
    start_afresh(engine, [row.id for row in made])
    return BulkReport(
        success=len(made),
        failed=len(problems),
        total=len(new.entries),
        created=tuple(replace(shown(engine, row), api_key=UNSET) for row in made),
        errors=tuple(sorted(problems, key=lambda row: row.index)),
    )


def _checked(
    engine: Engine, provider: str, new: BulkInput
) -> tuple[dict[int, Connection], list[BulkProblem]]:
    """The accounts that could be stored, by place; and what is wrong with the others."""
    good: dict[int, Connection] = {}
    problems: list[BulkProblem] = []
    names: set[str] = set()
    for index, entry in enumerate(new.entries):
        wanted = ConnectionInput(
            provider=provider,
            name=entry.name,
            api_key=entry.api_key,
            priority=new.priority,
            global_priority=new.global_priority,
            provider_specific_data=new.provider_specific_data,
        )
        try:
            account = checked_account(engine, wanted)
        except ValidationFailed as error:
            if error.param is not None and error.param.startswith("providerSpecificData"):
                raise  # wrong for all of them
            problems.append(BulkProblem(index, entry.name, str(error)))
            continue
        if account.name in names:
            problems.append(BulkProblem(index, entry.name, "stands twice in this list"))
            continue
        names.add(account.name)
        good[index] = account
    return good, problems
