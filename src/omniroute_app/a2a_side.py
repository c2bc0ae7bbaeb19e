"""The A2A door and its card, over the engine. Importing this loads the A2A SDK."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from a2a.server.agent_execution import AgentExecutor

from omniroute.caller import Caller, run_named
from omniroute.engine import Engine
from omniroute.http.access import Access
from omniroute.http.peers import headers_of
from omniroute.pipeline.callers.admission import RUN_HEADER, bearer
from omniroute_a2a import door as a2a
from omniroute_a2a.cards import BINDING_PATH, Cards, current_card
from omniroute_a2a.push_records import SqlPushRecords
from omniroute_a2a.records import SqlTaskRecords
from omniroute_a2a.signing import CardSigner
from omniroute_agents import SKILLS
from omniroute_agents.configured import ConfiguredSkills
from omniroute_app.addresses import base_url_of
from omniroute_app.limits import A2A_GRACE_S
from omniroute_app.settings import Settings


def a2a_door_of(
    engine: Engine,
    access: Access,
    settings: Settings,
    *,
    executor: AgentExecutor | None = None,
    binding_path: str = BINDING_PATH,
) -> a2a.A2ADoor:
    """The A2A door over the engine.

    Args:
        executor: takes the place of the skills.
        binding_path: where the HTTP+JSON binding is mounted.
    """

    async def authenticate(scope: Any) -> Caller:
        headers = headers_of(scope)
        key, address = bearer(headers), access.address_of(scope)
        admit = engine.admission.keyed_caller if key_required(engine) else engine.admission.caller
        caller = admit(engine.snapshot, "a2a", key, address)
        # No trace context here: every message has one, and the conversation is the run.
        run = run_named(headers.get(RUN_HEADER))
        return caller if run is None else msgspec.structs.replace(caller, run_id=run)

    async def operator(scope: Any) -> Caller:
        return access.operator(scope, engine.snapshot)

    return a2a.build(
        authenticate=authenticate,
        authorize_operator=operator,
        enabled=lambda: bool(engine.snapshot.settings["a2aEnabled"]),
        key_required=lambda: key_required(engine),
        base_url=base_url_of(engine, settings),
        version=engine.version,
        skills=ConfiguredSkills(SKILLS, engine),
        engine=engine,
        tasks=SqlTaskRecords(engine.database),
        push=SqlPushRecords(engine.database),
        webhooks=engine.webhooks,
        signing_key=engine.installation.card_key,
        allow_private_webhooks=lambda: bool(engine.snapshot.settings["a2aAllowPrivateWebhooks"]),
        task_ttl_minutes=lambda: float(engine.snapshot.settings["a2aTaskTtlMinutes"]),
        clock=engine.now_ms,
        grace_s=A2A_GRACE_S,
        executor=executor,
        binding_path=binding_path,
    )


def key_required(engine: Engine) -> bool:
    """Whether anonymous callers are turned away."""
    return engine.admission.require_key or engine.admission.env_key is not None


def agent_card_of(engine: Engine, settings: Settings) -> Callable[[], Mapping[str, Any]]:
    """The agent card, as it stands now."""
    cards = Cards(
        ConfiguredSkills(SKILLS, engine),
        engine.version,
        base_url_of(engine, settings),
        lambda: key_required(engine),
        CardSigner(engine.installation.card_key),
    )
    return lambda: current_card(cards.card())
