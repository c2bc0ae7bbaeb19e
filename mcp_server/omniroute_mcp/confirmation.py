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
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return Answer.CANNOT_ASK
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        # The state comes back only from whoever was asked: it is sealed by a middleware.
        told = given(params) if params.request_state == state else None
        if told is not None:
            return told
        asked = types.ElicitRequest(
            params=types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
        )
        return types.InputRequiredResult(input_requests={ASKED: asked}, request_state=state)
    if not context.session.can_send_request:
        return Answer.CANNOT_ASK
    return _answer(
        await context.session.elicit_form(question, _SCHEMA, related_request_id=context.request_id)
    )


def given(params: types.CallToolRequestParams) -> Answer | None:
    """The answer a call of the stateless era brings along."""
    told = (params.input_responses or {}).get(ASKED)
    return _answer(told) if isinstance(told, types.ElicitResult) else None


def _answer(told: types.ElicitResult) -> Answer:
    agreed = told.action == "accept" and (told.content or {}).get("confirm") is True
    return Answer.YES if agreed else Answer.NO
