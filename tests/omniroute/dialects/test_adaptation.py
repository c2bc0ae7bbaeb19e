"""What single services insist on beyond their dialect."""

import pytest

from omniroute.chat import ChatRequest, Image, Message, Part, Text, ToolCall, ToolResult
from omniroute.dialects.adaptation import adapted, call_id_of
from omniroute.dialects.codec import TargetFacts

PLAIN = TargetFacts(model="m")
NO_SYSTEM = TargetFacts(model="m", system_role=False)
NINE = TargetFacts(model="m", call_id_chars=9)

HEADED = "[System Instructions]\nBe kind\n\nBe brief\n\n[User Message]"
SYSTEM = (Message("system", (Text("Be kind"),)), Message("system", (Text("Be brief"),)))
SEEN = (Image(data="aGk=", media_type="image/png"), Text("What is it?"))


def asking(*messages: Message) -> ChatRequest:
    return ChatRequest(model="m", messages=messages)


SYSTEMS: dict[str, tuple[tuple[Message, ...], tuple[Message, ...]]] = {
    "before the first user text, pictures and all": (
        (*SYSTEM, Message("user", SEEN)),
        (Message("user", (Text(HEADED), *SEEN)),),
    ),
    "as the user when nobody else speaks": (
        SYSTEM,
        (Message("user", (Text("Be kind\n\nBe brief"),)),),
    ),
    "also when the assistant spoke first": (
        (SYSTEM[0], Message("assistant", (Text("Hi"),)), Message("user", (Text("Ho"),))),
        (
            Message("assistant", (Text("Hi"),)),
            Message("user", (Text("[System Instructions]\nBe kind\n\n[User Message]"), Text("Ho"))),
        ),
    ),
}


@pytest.mark.parametrize(("messages", "expected"), SYSTEMS.values(), ids=SYSTEMS)
def test_system_text_where_there_is_no_system_role(
    messages: tuple[Message, ...], expected: tuple[Message, ...]
) -> None:
    assert adapted(asking(*messages), NO_SYSTEM).messages == expected


def called(*ids: str) -> Message:
    return Message("assistant", tuple(ToolCall(one, "look", "{}") for one in ids))


def answered(*ids: str) -> Message:
    return Message("tool", tuple(ToolResult(one, (Text(f"of {one}"),)) for one in ids))


def wire_ids(*messages: Message) -> list[list[str]]:
    told = adapted(asking(*messages, Message("user", (Text("?"),))), NINE).messages

    def one(part: Part) -> list[str]:
        match part:
            case ToolCall(id):
                return [id]
            case ToolResult(call_id):
                return [call_id]
            case _:
                return []

    return [[i for part in message.parts for i in one(part)] for message in told[:-1]]


def test_call_ids_of_a_fixed_length_are_linked_by_id_and_stable() -> None:
    first = wire_ids(called("call_a", "call_b"), answered("call_b", "call_a"))
    assert first[0] == first[1]
    assert all(len(one) == 9 and one.isalnum() for one in first[0])
    later = wire_ids(called("call_a", "call_b"), answered("call_a", "call_b"), called("call_c"))
    assert later[0] == first[0]


def test_ids_used_twice_stay_apart_and_fitting_ones_stay() -> None:
    twice = wire_ids(called("call_0"), answered("call_0"), called("call_0"), answered("call_0"))
    assert twice[0] == twice[1] != twice[2] == twice[3]
    assert all(len(one) == 9 and one.isalnum() for one in twice[2])
    assert call_id_of("abcdefgh9", 9) == "abcdefgh9"


NOTHING_TO_DO: dict[str, tuple[ChatRequest, TargetFacts]] = {
    "a target without wishes": (asking(*SYSTEM, called("x")), PLAIN),
    "no system text": (asking(Message("user", SEEN)), NO_SYSTEM),
    "ids that fit": (asking(called("abcdefgh1"), answered("abcdefgh1")), NINE),
}


@pytest.mark.parametrize(("request_", "facts"), NOTHING_TO_DO.values(), ids=NOTHING_TO_DO)
def test_what_fits_is_left_alone(request_: ChatRequest, facts: TargetFacts) -> None:
    assert adapted(request_, facts) is request_
