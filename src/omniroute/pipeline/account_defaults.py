"""What an account asks for where a request does not say. Source: 02 §4.2, `requestDefaults`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as replace_fields

from omniroute.chat import ChatRequest, Dialect, Extras, ReasoningRequest
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.trace import Change
from omniroute.storage.records.configuration import Connection

OPTION = "requestDefaults"
_WITH_TIERS = (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES)
_TIER = "service_tier"
_TIERS = {"fast": "priority"}
"""Other words for a tier, as services call it.
Source: https://platform.openai.com/docs/guides/priority-processing"""


def defaults_of(account: Connection) -> Mapping[str, Any]:
    """What an account says about requests through it."""
    found = account.options.get(OPTION)
    return found if isinstance(found, dict) else {}


def with_defaults(call: ChatCall, account: Connection, dialect: Dialect) -> ChatCall:
    """The call as an account sends it in a dialect; the very same object when nothing changes."""
    defaults = defaults_of(account)
    if not defaults:
        return call
    request, told = call.request, []
    effort, tier = defaults.get("reasoningEffort"), defaults.get("serviceTier")
    if effort and request.reasoning is None:
        request = replace_fields(request, reasoning=ReasoningRequest(effort=effort))
        told.append(f"reasoning effort {effort}")
    if tier and dialect in _WITH_TIERS and not _says_tier(request, dialect):
        tier = _TIERS.get(tier, tier)
        request = _with_tier(request, dialect, tier)
        told.append(f"service tier {tier}")
    if defaults.get("context1m") and dialect is Dialect.ANTHROPIC:
        told.append("a context of 1M tokens")  # a header says so, see `outbound`
    if not told:
        return call
    change = Change("account-defaults", f"{', '.join(told)}: as {account.name} is set up")
    body = call.body if request is call.request else None
    return replace(call, request=request, body=body, changes=(*call.changes, change))


def _own(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    extras = request.extras
    return extras.fields if extras is not None and extras.dialect is dialect else {}


def _says_tier(request: ChatRequest, dialect: Dialect) -> bool:
    return _own(request, dialect).get(_TIER) is not None


def _with_tier(request: ChatRequest, dialect: Dialect, tier: str) -> ChatRequest:
    # Fields of another dialect mean nothing to this target: they would stay behind anyway.
    return replace_fields(request, extras=Extras(dialect, {**_own(request, dialect), _TIER: tier}))
