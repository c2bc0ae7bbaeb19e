"""Asking whoever sits at the client before something is destroyed. 03 §10.5."""

from enum import Enum

import mcp_types as types
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from omniroute_mcp.callers import Context

ASKED = "confirm"
"""The name of our question in an `input_required` result."""

_SCHEMA: types.ElicitRequestedSchema = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Go ahead", "default": True}},
    "required": ["confirm"],
}


class Answer(Enum):
    """What came of a question."""

    YES = "yes"
    NO = "no"
    CANNOT_ASK = "cannot ask"


async def confirm(
    context: Context, params: types.CallToolRequestParams, question: str, state: str = ASKED
) -> Answer | types.InputRequiredResult:
    """Ask once. In the stateless era the question is the answer to the call, and the client calls
    again with what it was told, and with the state it was given."""
    if not can_be_asked(context):
        return Answer.CANNOT_ASK
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        # The state comes back only from whoever was asked: it is sealed by a middleware.
        told = given(params) if params.request_state == state else None
        if told is not None:
            return told
        return types.InputRequiredResult(
            input_requests={ASKED: elicitation(question)}, request_state=state
        )
    if not context.session.can_send_request:
        return Answer.CANNOT_ASK
    return answer_of(
        await context.session.elicit_form(question, _SCHEMA, related_request_id=context.request_id)
    )


def can_be_asked(context: Context) -> bool:
    """Whether the client says that somebody there answers questions."""
    capabilities = context.session.client_capabilities
    return capabilities is not None and capabilities.elicitation is not None


def elicitation(question: str) -> types.ElicitRequest:
    """A question that is answered by a yes or a no."""
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
    )


def given(params: types.CallToolRequestParams) -> Answer | None:
    """The answer a call of the stateless era brings along."""
    told = (params.input_responses or {}).get(ASKED)
    return answer_of(told) if isinstance(told, types.ElicitResult) else None


def answer_of(told: types.InputResponse) -> Answer:
    """What somebody said."""
    agreed = (
        isinstance(told, types.ElicitResult)
        and told.action == "accept"
        and (told.content or {}).get("confirm") is True
    )
    return Answer.YES if agreed else Answer.NO
