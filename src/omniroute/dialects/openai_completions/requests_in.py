"""A client's completion request into the neutral conversation."""

from typing import NoReturn

import msgspec

from omniroute.chat import ChatRequest, Dialect, Extras, Message, Text
from omniroute.dialects.fields import Fields, read_object, refuse
from omniroute.dialects.openai_chat import requests_in as chat
from omniroute.errors import InvalidRequest

ECHO = "echo"


def decode_request(body: bytes) -> ChatRequest:
    """See `ClientCodec.decode_request`."""
    value = read_object(body)
    if value.get("messages") is not None:
        return chat.decode_request(body)
    fields = Fields(value)
    prompt = _prompt(fields)
    _refuse_unsupported(fields)
    options = fields.object("stream_options")
    request = ChatRequest(
        model=fields.required_text("model"),
        messages=(Message("user", (Text(prompt),)),),
        max_output_tokens=fields.integer("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        stop=fields.texts("stop"),
        seed=fields.integer("seed"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        user=fields.text("user"),
        stream=fields.flag("stream"),
        include_usage=bool(options and options.flag("include_usage")),
    )
    # Always there, empty or not: they tell a completion from a chat.
    rest = fields.rest(Dialect.OPENAI_COMPLETIONS) or Extras(Dialect.OPENAI_COMPLETIONS, {})
    return msgspec.structs.replace(request, extras=rest)


def echoed(request: ChatRequest) -> str:
    """The prompt, where the client wants it in front of the completion."""
    wanted = request.extras is not None and request.extras.fields.get(ECHO) is True
    return request.messages[0].text if wanted else ""


def _prompt(fields: Fields) -> str:
    given = fields.take("prompt")
    if given is None or given == []:
        refuse(fields.at("prompt"), "is required")
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        refuse(fields.at("prompt"), "must be a string or an array of strings; tokens are not read")
    return "\n".join(given)


def _refuse_unsupported(fields: Fields) -> None:
    for name in ("best_of", "n"):
        wanted = fields.integer(name)
        if wanted is not None and wanted > 1:
            _unsupported(f"Only one completion is made: leave '{name}' out", name)
    if fields.text("suffix"):
        _unsupported("Targets here answer, they do not fill in: leave 'suffix' out", "suffix")
    if fields.peek("logprobs"):
        _unsupported("Chat models give no log probabilities in this form", "logprobs")


def _unsupported(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, code="unsupported_feature", param=param)
