"""What a skill is given, and how its reply becomes an artifact."""

from typing import Any

import pytest

from omniroute import chat

pytestmark = pytest.mark.anyio

OFFICIAL_OPTIONS = {
    "of the request": ({"metadata": {"budget": 5}}, {}),
    "of the message": ({}, {"metadata": {"budget": 5}}),
}


@pytest.mark.parametrize(
    ("request_members", "members"), OFFICIAL_OPTIONS.values(), ids=OFFICIAL_OPTIONS
)
async def test_a_skill_reads_the_metadata(
    world: Any, request_members: dict[str, Any], members: dict[str, Any]
) -> None:
    parts = [
        {"text": "a b"},
        {"raw": "AQI=", "mediaType": "image/png"},
        {"url": "https://a.example/x.pdf", "mediaType": "application/pdf", "filename": "x.pdf"},
        {"data": {"n": 1}},
    ]
    message = {"messageId": "m", "role": "ROLE_USER", "parts": parts, **members}
    await world.result("SendMessage", {"message": message, **request_members})
    assert world.asked[0].options == {"budget": 5}
    assert world.asked[0].messages == (
        chat.Message(
            "user",
            (
                chat.Text("a b"),
                chat.Image(data="AQI=", media_type="image/png"),
                chat.File(
                    url="https://a.example/x.pdf", media_type="application/pdf", filename="x.pdf"
                ),
                chat.Text('{"n":1}'),
            ),
        ),
    )


async def test_the_metadata_comes_as_data_for_who_accepts_json(world: Any) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a b"}]}
    modes = {"acceptedOutputModes": ["text/plain", "application/json"]}
    sent = await world.result("SendMessage", {"message": message, "configuration": modes})
    artifact = sent["task"]["artifacts"][0]
    assert (artifact["parts"], artifact["metadata"]) == (
        [{"text": "ab"}, {"data": {"words": 2}, "mediaType": "application/json"}],
        {"words": 2},
    )
