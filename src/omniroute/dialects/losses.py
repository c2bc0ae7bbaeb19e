"""What each dialect cannot say, and what becomes of it: the accepted losses of every translation.

A fuzzer translates between every ordered pair of dialects and fails on a loss that is not here,
and on one that is here and does not happen. The reference page is made from these tables.
"""

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from omniroute.chat import Dialect

Thing: TypeAlias = str
"""Something a conversation or a reply can hold, in plain words."""


class Loss(Struct, frozen=True):
    """What becomes of a thing in a dialect.

    `into` are the things that grow by it. `sometimes` says that the dialect can say the thing in
    general, and not in every case.
    """

    becomes: str
    into: tuple[Thing, ...] = ()
    sometimes: bool = False


_NO_SPEAKER = {"name of a speaker": Loss("dropped")}
_MERGED = {"border between texts": Loss("neighbouring texts become one", sometimes=True)}
_MARKED = {
    "failed result": Loss("the text of the result begins with `Error: `", into=("result",)),
}
_NO_STRICT = {"strict tool": Loss("dropped"), "strict schema": Loss("dropped")}
_NO_REFUSAL = {"refusal": Loss("text", into=("text of assistant", "text"))}
_NO_DETAIL = {"detail of a picture": Loss("dropped")}
_TEXT_FILE = {
    "document as text": Loss("text under the document's name", into=("text of user",)),
}
_FILE_NAME = {"name of a document": Loss("dropped, or given where one is required", sometimes=True)}
_NO_SAMPLING = {
    "seed": Loss("dropped"),
    "presence penalty": Loss("dropped"),
    "frequency penalty": Loss("dropped"),
}
_BUDGET_AS_EFFORT = {
    "reasoning budget": Loss("the effort next to it", into=("reasoning effort",)),
    "adaptive reasoning": Loss("the model's default"),
}
_EFFORT_AS_BUDGET = {
    "reasoning effort": Loss(
        "a budget of tokens", into=("reasoning budget", "output limit"), sometimes=True
    ),
}
_FOREIGN_STATE = {
    "thinking signature": Loss("dropped: only the provider that wrote it can read it"),
}
_PICTURES_FOLLOW = {
    "picture in a result": Loss(
        "a picture in the user's next turn", into=("picture", "result", "text of user")
    ),
}

REQUEST_LOSSES: Mapping[Dialect, Mapping[Thing, Loss]] = {
    Dialect.OPENAI_CHAT: {
        **_MERGED,
        **_MARKED,
        **_TEXT_FILE,
        **_FILE_NAME,
        **_BUDGET_AS_EFFORT,
        **_FOREIGN_STATE,
        **_PICTURES_FOLLOW,
    },
    Dialect.OPENAI_RESPONSES: {
        **_NO_SPEAKER,
        **_MERGED,
        **_MARKED,
        **_TEXT_FILE,
        **_FILE_NAME,
        **_NO_SAMPLING,
        **_BUDGET_AS_EFFORT,
        **_FOREIGN_STATE,
        "strict tool": Loss("said to be not strict where nothing was said", sometimes=True),
        "top_k": Loss("dropped"),
        "stop": Loss("dropped"),
        "thinking": Loss("dropped without its signature", sometimes=True),
    },
    Dialect.ANTHROPIC: {
        **_NO_SPEAKER,
        **_MERGED,
        **_NO_STRICT,
        **_NO_REFUSAL,
        **_NO_DETAIL,
        **_NO_SAMPLING,
        **_EFFORT_AS_BUDGET,
        **_FOREIGN_STATE,
        "temperature": Loss("dropped while the model thinks, at most 1", sometimes=True),
        "top_p": Loss("dropped while the model thinks", sometimes=True),
        "top_k": Loss("dropped while the model thinks", sometimes=True),
        "adaptive reasoning": Loss("dropped where a tool is forced", sometimes=True),
        "reasoning budget": Loss(
            "fitted into the model's limits; dropped where a tool is forced", sometimes=True
        ),
        "output limit": Loss("raised by the budget for thinking", sometimes=True),
        "thinking": Loss("dropped without its signature", sometimes=True),
        "response format": Loss(
            "an instruction, where there is no schema", into=("text of system",), sometimes=True
        ),
        "name of a schema": Loss("dropped"),
        "parallel calls": Loss("dropped where no tool may be called", sometimes=True),
    },
    Dialect.GEMINI: {
        **_NO_SPEAKER,
        **_MERGED,
        **_NO_STRICT,
        **_NO_REFUSAL,
        **_NO_DETAIL,
        **_TEXT_FILE,
        **_FILE_NAME,
        **_EFFORT_AS_BUDGET,
        **_FOREIGN_STATE,
        **_PICTURES_FOLLOW,
        "user": Loss("dropped"),
        "reasoning budget": Loss("at most 32768 tokens", sometimes=True),
        "thinking": Loss("dropped", sometimes=True),
        "parallel calls": Loss("dropped"),
        "name of a schema": Loss("dropped"),
    },
    Dialect.OLLAMA: {
        **_NO_SPEAKER,
        **_MERGED,
        **_MARKED,
        **_NO_STRICT,
        **_NO_REFUSAL,
        **_NO_DETAIL,
        **_TEXT_FILE,
        **_FILE_NAME,
        **_BUDGET_AS_EFFORT,
        **_FOREIGN_STATE,
        "user": Loss("dropped"),
        "tool choice": Loss("`none` removes the tools, others are dropped"),
        "tool": Loss("removed where none may be called", sometimes=True),
        "parallel calls": Loss("dropped"),
        "name of a schema": Loss("dropped"),
    },
}
"""By target: what a request loses on its way into it. What a target cannot say at all, such as
sound for Anthropic, is refused and not lost."""

ADDED: Mapping[Dialect, tuple[Thing, ...]] = {
    Dialect.OPENAI_CHAT: ("name of a document", "name of a schema"),
    Dialect.OPENAI_RESPONSES: ("name of a document", "name of a schema", "strict tool"),
    Dialect.ANTHROPIC: ("output limit", "tool choice"),
}
"""By target: what it requires and nobody said."""

_NO_WRITES = {"cached tokens written": Loss("counted as read without a cache")}
_NO_STOP_SEQUENCE = {"stop sequence": Loss("dropped: the finish says `stop`")}

REPLY_LOSSES: Mapping[Dialect, Mapping[Thing, Loss]] = {
    Dialect.OPENAI_CHAT: {
        **_NO_STOP_SEQUENCE,
        "tokens written to a cache for an hour": Loss(
            "counted with all that were written", into=("cached tokens written",)
        ),
    },
    Dialect.OPENAI_RESPONSES: {
        **_NO_WRITES,
        **_NO_STOP_SEQUENCE,
        "tokens written to a cache for an hour": Loss("counted as read without a cache"),
    },
    Dialect.ANTHROPIC: {
        **_NO_REFUSAL,
        "picture": Loss("dropped: this dialect has no word for one"),
        "time of creation": Loss("dropped"),
    },
    Dialect.GEMINI: {
        **_NO_REFUSAL,
        **_NO_WRITES,
        **_NO_STOP_SEQUENCE,
        "tokens written to a cache for an hour": Loss("counted as read without a cache"),
        "time of creation": Loss("dropped"),
    },
    Dialect.OLLAMA: {
        **_NO_REFUSAL,
        **_NO_WRITES,
        **_NO_STOP_SEQUENCE,
        "tokens written to a cache for an hour": Loss("counted as read without a cache"),
        "cached tokens read": Loss("counted as read without a cache"),
        "tokens of thinking": Loss("counted with the text"),
        "picture": Loss("dropped: this dialect has no word for one"),
        "finish": Loss("a filter stopped the model: `stop`", sometimes=True),
    },
}
"""By the client's dialect: what a reply loses on its way to it."""


def losses(
    table: Mapping[Dialect, Mapping[Thing, Loss]], source: Dialect, target: Dialect
) -> dict[Thing, Loss]:
    """What is lost between two dialects: what the target cannot say and the source can."""
    if source is target:
        return {}
    unsaid = {thing for thing, loss in table[source].items() if not loss.sometimes}
    return {thing: loss for thing, loss in table[target].items() if thing not in unsaid}
