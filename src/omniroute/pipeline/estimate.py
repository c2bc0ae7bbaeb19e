"""What a request may cost before anyone has counted: bounds and estimates of tokens and money."""

from collections.abc import Iterable, Iterator

from omniroute.catalog.prices import FREE, Price, price_of
from omniroute.catalog.provider import Provider
from omniroute.chat import (
    Audio,
    ChatRequest,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 2_000
DEFAULT_OUTPUT_TOKENS = 8_192


def price_for(provider: Provider, model: str) -> Price | None:
    """What a model costs; free on the user's own machine, None when nobody states a price."""
    if provider.in_process or provider.probe_port is not None:
        return FREE
    return price_of(provider.prices, model)


def input_tokens(request: ChatRequest) -> int:
    """A fair estimate of what the model will read: characters / 4, images by a flat figure."""
    pieces, images = measured(request)
    return -(-sum(map(len, pieces)) // CHARS_PER_TOKEN) + images * IMAGE_TOKENS


def input_tokens_bound(request: ChatRequest) -> int:
    """Never less than what the model will read.

    Byte-level tokenizers make at most one token of a byte, and a message has a few of framing.
    """
    pieces, images = measured(request)
    size = sum(len(piece.encode()) for piece in (*pieces, *_payloads(request)))
    return size + 16 * (len(request.messages) + len(request.tools) + 1) + images * IMAGE_TOKENS


def bound_micro_usd(request: ChatRequest, prices: Iterable[Price | None]) -> int:
    """The most a request can cost at the dearest of `prices`; unknown prices count as nothing."""
    usage = Usage(
        input_tokens=input_tokens_bound(request),
        output_tokens=request.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
    )
    # Writing a prompt into a provider's cache can cost more than reading it plainly.
    cached = Usage(cache_write_1h_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
    return max(
        (max(p.cost_micro_usd(usage), p.cost_micro_usd(cached)) for p in prices if p), default=0
    )


def measured(request: ChatRequest) -> tuple[list[str], int]:
    """Everything of a request that is read as text, and how many pictures it has."""
    images = sum(isinstance(part, Image) for part in _parts(request))
    return list(_pieces(request)), images


def _parts(request: ChatRequest) -> Iterator[Part]:
    """Every part, those inside tool results too."""
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _pieces(request: ChatRequest) -> Iterator[str]:
    """What is read as text."""
    for part in _parts(request):
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


def _payloads(request: ChatRequest) -> Iterator[str]:
    """What is read in a form nobody can count beforehand: never more tokens than bytes."""
    for part in _parts(request):
        match part:
            case Audio(data) | File(data=str(data)) | Reasoning(redacted=str(data)):
                yield data
            case Opaque(extras):
                yield repr(extras.fields)
            case _:
                pass
