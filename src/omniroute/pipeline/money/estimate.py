"""What a request may cost before anyone has counted: bounds and estimates of tokens and money."""

from collections.abc import Iterable, Iterator

from omniroute.catalog.prices import Price
from omniroute.chat import Audio, ChatRequest, File, Image, Opaque, Reasoning, Usage
from omniroute.pipeline.money.ledger import Need
from omniroute.routing.sizes import IMAGE_TOKENS, measured, parts

DEFAULT_OUTPUT_TOKENS = 32_000
"""The longest answer where nobody says: hardly a model writes more in one go."""


def input_tokens_bound(request: ChatRequest) -> int:
    """Never less than what the model will read.

    Byte-level tokenizers make at most one token of a byte, and a message has a few of framing.
    """
    pieces, images = measured(request)
    size = sum(len(piece.encode()) for piece in (*pieces, *_payloads(request)))
    return size + 16 * (len(request.messages) + len(request.tools) + 1) + images * IMAGE_TOKENS


def need_of(request: ChatRequest, prices: Iterable[Price | None]) -> Need:
    """The most a request can cost at the dearest of `prices`; unknown prices count as nothing."""
    known = [price for price in prices if price is not None]
    tokens = input_tokens_bound(request)
    # Writing a prompt into a provider's cache can cost more than reading it plainly.
    readings = [Usage(input_tokens=tokens), Usage(cache_write_1h_tokens=tokens)]
    if any(isinstance(part, Audio) for part in parts(request)):
        readings.append(Usage(input_audio_tokens=tokens))
    if any(isinstance(part, Image) for part in parts(request)):
        readings.append(Usage(input_image_tokens=tokens))
    return Need(
        reading=max(
            (price.cost_micro_usd(reading) for price in known for reading in readings), default=0
        ),
        token_pico=max((price.dearest_output(tokens) for price in known), default=0),
        max_tokens=(request.max_output_tokens or DEFAULT_OUTPUT_TOKENS) * max(1, request.n),
    )


def _payloads(request: ChatRequest) -> Iterator[str]:
    """What is read in a form nobody can count beforehand: never more tokens than bytes."""
    for part in parts(request):
        match part:
            case Audio(data) | File(data=str(data)) | Reasoning(redacted=str(data)):
                yield data
            case Opaque(extras):
                yield repr(extras.fields)
            case _:
                pass
