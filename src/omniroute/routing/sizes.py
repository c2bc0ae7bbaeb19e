"""How long a request is, measured without a tokenizer."""

from collections.abc import Iterator

from omniroute.chat import (
    ChatRequest,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 2_000


def input_tokens(request: ChatRequest) -> int:
    """A fair estimate of what the model will read: characters / 4, images by a flat figure."""
    pieces, images = measured(request)
    return -(-sum(map(len, pieces)) // CHARS_PER_TOKEN) + images * IMAGE_TOKENS


def measured(request: ChatRequest) -> tuple[list[str], int]:
    """Everything of a request that is read as text, and how many pictures it has."""
    images = sum(isinstance(part, Image) for part in parts(request))
    return list(_pieces(request)), images


def parts(request: ChatRequest) -> Iterator[Part]:
    """Every part of a request, those inside tool results too."""
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _pieces(request: ChatRequest) -> Iterator[str]:
    """What is read as text."""
    for part in parts(request):
        match part:
            case Text(text) | Refusal(text) | Reasoning(text) | File(text=str(text)):
                yield text
            case ToolCall(name=name, arguments=arguments):
                yield name
                yield arguments
            case _:
                pass
    for tool in request.tools:
        yield repr(tool)
    if request.response_format is not None:
        yield repr(request.response_format)
