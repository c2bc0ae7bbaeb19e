"""Estimates and bounds: the bound holds for whatever a request may carry."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import snapshot

from omniroute.catalog.prices import FREE, Price, Rate
from omniroute.chat import (
    Audio,
    ChatRequest,
    Dialect,
    Extras,
    File,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from omniroute.pipeline.money.estimate import (
    DEFAULT_OUTPUT_TOKENS,
    input_tokens_bound,
    need_of,
)
from omniroute.routing.sizes import IMAGE_TOKENS, input_tokens


def most(request: ChatRequest, prices: Sequence[Price | None]) -> int:
    """The most a request can cost, with its longest answer."""
    need = need_of(request, prices)
    return need.cost(need.max_tokens)


words = st.text(max_size=40)
texts = st.builds(Text, words)
files = st.one_of(st.builds(File, text=words), st.builds(File, data=words))
opaques = st.builds(lambda text: Opaque(Extras(Dialect.ANTHROPIC, {"said": text})), words)
parts: st.SearchStrategy[Part] = st.one_of(
    texts,
    files,
    opaques,
    st.builds(Refusal, words),
    st.builds(Reasoning, words),
    st.builds(Reasoning, redacted=words),
    st.builds(Audio, words, st.just("wav")),
    st.builds(Image, data=words),
    st.builds(ToolCall, st.just("id"), words, words),
    st.builds(
        lambda inner: ToolResult("id", tuple(inner)),
        st.lists(st.one_of(texts, files, opaques), max_size=3),
    ),
)
requests = st.builds(
    lambda rows, tools: ChatRequest(
        model="m",
        messages=tuple(Message("user", tuple(row)) for row in rows),
        tools=tuple(Tool(name, text) for name, text in tools),
    ),
    st.lists(st.lists(parts, max_size=4), max_size=4),
    st.lists(st.tuples(words, words), max_size=2),
)


def read_bytes(part: Part) -> int:
    """The bytes of a part a model reads as they are: no tokenizer makes more tokens of them."""
    match part:
        case Text(text) | Refusal(text):
            return len(text.encode())
        case Reasoning(text, redacted=redacted):
            return len(text.encode()) + len((redacted or "").encode())
        case File(data=data, text=text):
            return len((data or "").encode()) + len((text or "").encode())
        case Audio(data):
            return len(data.encode())
        case ToolCall(_, name, arguments):
            return len(name.encode()) + len(arguments.encode())
        case ToolResult(_, inner):
            return sum(read_bytes(one) for one in inner)
        case Opaque(extras):
            return len(str(extras.fields["said"]).encode())
        case Image():
            return 0


@given(requests)
def test_the_bound_is_never_less_than_the_bytes_a_model_reads(request: ChatRequest) -> None:
    read = sum(read_bytes(part) for message in request.messages for part in message.parts)
    read += sum(
        len(tool.name.encode()) + len(tool.description.encode())
        for tool in request.tools
        if isinstance(tool, Tool)
    )
    assert read <= input_tokens_bound(request)


@given(requests)
def test_the_estimate_is_never_over_the_bound(request: ChatRequest) -> None:
    assert 0 <= input_tokens(request) <= input_tokens_bound(request)


@given(requests, requests)
def test_more_to_read_is_never_cheaper(request: ChatRequest, more: ChatRequest) -> None:
    both = ChatRequest(
        model="m",
        messages=request.messages + more.messages,
        tools=request.tools + more.tools,
    )
    assert input_tokens_bound(request) <= input_tokens_bound(both)


def request(*parts: Part, **more: object) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message("user", parts),), **more)  # type: ignore[arg-type]


def test_four_characters_are_a_token_rounded_up() -> None:
    assert input_tokens(request(Text("12345"))) == 2


def test_an_image_has_a_flat_figure_wherever_it_is() -> None:
    image = Image(data="x" * 100_000)
    assert input_tokens(request(image)) == IMAGE_TOKENS
    assert input_tokens(request(ToolResult("id", (image,)))) == IMAGE_TOKENS


def test_a_schema_to_answer_in_is_read_too() -> None:
    schema = ResponseFormat("json_schema", "n", {"description": "x" * 400})
    plain, asked = request(Text("hi")), request(Text("hi"), response_format=schema)
    assert input_tokens(asked) - input_tokens(plain) > 100


def price(read: int, written: int, *, kept: int | None = None) -> Price:
    """Rates in micro-USD per token."""
    rates = [Rate(rate * 1_000_000) for rate in (read, written, read if kept is None else kept)]
    return Price(
        input=rates[0],
        output=rates[1],
        cache_read=rates[0],
        cache_write=rates[2],
        cache_write_1h=rates[2],
    )


def test_the_bound_in_money_is_that_of_the_dearest_price() -> None:
    asked = request(Text("hi"), max_output_tokens=10)
    read = input_tokens_bound(asked)
    prices = [None, price(1, 2), price(3, 4), FREE]
    assert most(asked, prices) == 3 * read + 4 * 10


def test_the_bound_in_money_allows_for_the_prompt_being_kept() -> None:
    asked = request(Text("hi"), max_output_tokens=10)
    read = input_tokens_bound(asked)
    assert most(asked, [price(1, 1, kept=2)]) == 2 * read + 10


def test_a_request_that_names_no_limit_is_bound_by_the_default() -> None:
    asked = request(Text("hi"))
    assert most(asked, [price(0, 1)]) == DEFAULT_OUTPUT_TOKENS


def test_no_price_is_no_bound() -> None:
    assert most(request(Text("hi")), [None]) == 0
    assert most(request(Text("hi")), []) == 0


@given(requests, st.integers(1, 100), st.integers(1, 100), st.integers(1, 500))
def test_what_is_spent_within_the_limits_is_never_over_the_bound(
    asked: ChatRequest, read: int, written: int, limit: int
) -> None:
    limited = ChatRequest(
        model="m", messages=asked.messages, tools=asked.tools, max_output_tokens=limit
    )
    rates = price(read, written)
    longest = Usage(input_tokens=input_tokens_bound(limited), output_tokens=limit)
    assert rates.cost_micro_usd(longest) <= most(limited, [rates])


WORLD = snapshot()
PRICED = {
    "the user's own machine": ("ollama", "llama3.2", True, True),
    "the demo": ("demo", "echo", True, True),
    "a listed model": ("openai", "gpt-4o-mini", True, False),
    "a model nobody lists": ("openai", "no-such-model-at-all", False, False),
    "a provider without a list": ("nvidia", "x", False, False),
}


def test_prices_are_known_free_or_unknown() -> None:
    found = {}
    for name, (provider, model, _, _) in PRICED.items():
        rates = WORLD.price(provider, model)
        found[name] = (provider, model, rates is not None, rates == FREE)
    assert found == PRICED
