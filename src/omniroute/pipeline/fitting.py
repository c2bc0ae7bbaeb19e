"""A request made to fit one candidate: no more than it takes, and what it should know."""

from dataclasses import replace

from msgspec.structs import replace as replace_fields

from omniroute.chat import Tool
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.handoffs.handoff import Handoff, handed_over
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import Change


def fitted(
    call: ChatCall,
    candidate: Candidate,
    most_tools: int | None = None,
    handoff: Handoff | None = None,
) -> ChatCall:
    """The call as this candidate gets it; the very same object when nothing has to change.

    Args:
        most_tools: how many tools its provider takes; None when nobody knows of a limit.
        handoff: what its account should read first.
    """
    request, changes = call.request, list(call.changes)
    if handoff is not None:
        request = handed_over(request, handoff)
        changes.append(Change("handoff", "a summary of the conversation at another account"))
    if most_tools is not None and len(request.tools) > most_tools:
        kept = request.tools[:most_tools]
        choice = request.tool_choice
        names = [tool.name for tool in kept if isinstance(tool, Tool)]
        if choice is not None and choice.mode == "tool" and choice.name not in names:
            choice = None
        text = f"{candidate.provider} takes {most_tools} of {len(request.tools)} tools"
        request = replace_fields(request, tools=kept, tool_choice=choice)
        changes.append(Change("tools-truncated", text))
    most, asked = candidate.max_output_tokens, request.max_output_tokens
    if most is not None and (asked is None or asked > most):
        request = replace_fields(request, max_output_tokens=most)
    changes += _in_whose_place(candidate)
    if request is not call.request:
        return replace(call, request=request, body=None, changes=tuple(changes))
    return replace(call, changes=tuple(changes)) if len(changes) > len(call.changes) else call


def _in_whose_place(candidate: Candidate) -> list[Change]:
    if candidate.stands_in_for is not None:
        text = f"{candidate.model} stands in for {candidate.stands_in_for}"
    elif candidate.when is not None:
        text = f"{candidate.provider}/{candidate.model} answered as the last resort"
    else:
        return []
    return [Change("model-fallback", text)]
