"""The configuration in one file: what applying it would do, applying it, and writing it."""

import asyncio
from typing import Any

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.configuration.configuration_file.deciding import Decision, Plan, decide
from omniroute.operations.configuration.configuration_file.document import DEFAULT_NAME, Document
from omniroute.operations.configuration.configuration_file.everything import (
    read_everything,
    read_owned,
    save_owned,
)
from omniroute.operations.configuration.configuration_file.kind import Applying, Reading
from omniroute.operations.configuration.configuration_file.references import References
from omniroute.operations.configuration.configuration_file.writing import Written
from omniroute.storage.database import Work

MOST_NAMED = 200
"""Names the audit log has of one application; of more, it has the number."""


class Exported(Struct, frozen=True, kw_only=True):
    """A configuration file, and the variables it refers to; their values are not in it."""

    text: str
    variables: tuple[str, ...]


class MadeKey(Struct, frozen=True):
    """A key that was made. Its text is not shown again."""

    name: str
    key: str


class Applied(Plan, frozen=True, kw_only=True, rename="camel"):
    """What was done. `keys` were made on the way; their texts are in no file and shown once."""

    keys: list[MadeKey]


async def plan_configuration(
    engine: Engine, caller: Caller, text: str, *, name: str = DEFAULT_NAME, prune: bool = False
) -> Plan:
    """What applying a file would do. Nothing is changed.

    Args:
        text: the file, as TOML.
        name: what errors call it.
        prune: delete also what never came from a file.

    Raises:
        ConfigurationRefused: the file has errors; every one is told with its line.
    """
    document = await _document(text, name)
    async with engine.database.reading() as work:
        return (await _decided(engine, caller, document, work, prune=prune)).plan


async def apply_configuration(
    engine: Engine, caller: Caller, text: str, *, name: str = DEFAULT_NAME, prune: bool = False
) -> Applied:
    """Make the configuration what a file says, all of it or nothing. The next request sees all.

    Objects that came from a file and are not in this one are deleted; others are left alone.

    Args:
        text: the file, as TOML.
        name: what errors call it.
        prune: delete also what never came from a file.

    Raises:
        ConfigurationRefused: the file has errors; every one is told with its line.
        Conflict: somebody changed something that collides in this very moment.
    """
    document = await _document(text, name)
    async with engine.database.reading() as work:
        decision = await _decided(engine, caller, document, work, prune=prune)
    if decision.is_idle:
        return _applied(decision)
    await engine.journal.flush()  # what was spent before new budgets counts, too
    document = await _document(text, name)
    async with engine.configuration.change(caller, "configuration.applied", name) as work:
        await work.settings.bump()  # others that change something wait from here on
        decision = await _decided(engine, caller, document, work, prune=prune)
        doing = Applying(engine, decision.made_keys)
        await _carry_out(decision, work, doing)
        work.details.update(_summary(decision.plan))
    for after in doing.after:
        after()
    return _applied(decision)


async def export_configuration(engine: Engine, caller: Caller) -> Exported:
    """Everything as a file that makes an empty gateway the same as this one.

    Secrets are references to variables. Accounts that sign in with a browser are not in it.
    """
    written = await written_configuration(engine)
    return Exported(text=written.text, variables=tuple(sorted(written.variables)))


async def written_configuration(engine: Engine) -> Written:
    """The file with the secrets it refers to, for the process itself."""
    async with engine.database.reading() as work:
        stored = await read_everything(work)
    return await asyncio.to_thread(Written, stored)


async def _document(text: str, name: str) -> Document:
    return await asyncio.to_thread(Document, text, name)


async def _decided(
    engine: Engine, caller: Caller, document: Document, work: Work, *, prune: bool
) -> Decision:
    stored = await read_everything(work)
    reading = Reading(
        engine=engine,
        caller=caller,
        document=document,
        references=References(engine.environ, engine.data_dir),
        stored=stored,
        supposed=stored,
        owned=await read_owned(work),
        prune=prune,
    )
    return await decide(reading)


async def _carry_out(decision: Decision, work: Work, doing: Applying) -> None:
    for step in reversed(decision.steps):
        if step.new is None:
            await step.kind.delete(work, step.old, doing)
    for step in decision.steps:
        if step.new is not None:
            await step.kind.save(work, step.new, step.old, doing)
    await save_owned(work, decision.owned)


def _applied(decision: Decision) -> Applied:
    plan = decision.plan
    return Applied(
        changes=plan.changes,
        unchanged=plan.unchanged,
        adopted=plan.adopted,
        left_alone=plan.left_alone,
        warnings=plan.warnings,
        keys=[MadeKey(name, decision.made_keys[name]) for name in sorted(decision.generated)],
    )


def _summary(plan: Plan) -> dict[str, Any]:
    """What the audit log says: names, and of changed objects their fields."""
    told: dict[str, Any] = {}
    for change in plan.changes[:MOST_NAMED]:
        if change.action == "update":
            fields = [one.field for one in change.fields]
            told.setdefault("updated", {})[change.name] = fields
        else:
            told.setdefault(f"{change.action}d", []).append(change.name)
    if len(plan.changes) > MOST_NAMED:
        told["more"] = len(plan.changes) - MOST_NAMED
    return told
