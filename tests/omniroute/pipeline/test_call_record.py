"""The call log's line of a request says what its trace and its usage rows say."""

import dataclasses

import pytest
from tests.omniroute.conftest import Build, chat_call
from tests.omniroute.pipeline.test_chat import WORLD, error, first_fails, good
from tests.omniroute.pipeline.test_failover import ON, Cut

from omniroute.caller import Caller
from omniroute.chat import Dialect
from omniroute.errors import OmniRouteError
from omniroute.storage.records.usage import CallRow, FinishedRequest

pytestmark = pytest.mark.anyio


def line(records: list[FinishedRequest]) -> CallRow:
    """The one line that was written."""
    (record,) = records
    assert record.call is not None
    return record.call


async def test_a_request_that_fell_back_ends_where_it_was_answered(bench: Build) -> None:
    made = bench(WORLD, first_fails(lambda: error(500)))
    caller = Caller(door="http", key_id="key-1", key_name="laptop")
    call = dataclasses.replace(
        chat_call("both", dialect=Dialect.ANTHROPIC, caller=caller), path="/v1/messages"
    )
    await made.pipeline.complete(call)
    row = line(made.records)
    assert (row.provider, row.model, row.account) == ("two-two", "y", "c")
    assert (row.attempts, row.status, row.success) == (len(made.records[0].usage), 200, True)
    assert (row.source_format, row.target_format) == ("anthropic", "openai-chat")
    assert (row.method, row.path) == ("POST", "/v1/messages")
    assert (row.api_key_id, row.api_key_name, row.combo_name) == ("key-1", "laptop", "both")
    assert row.combo_step_id == "both-1"
    assert (row.tokens_in, row.tokens_out, row.estimated) == (5, 2, False)
    assert (row.cache_source, row.cost_micro_usd) == ("upstream", None)


async def test_tokens_are_those_of_every_target_that_gave_a_part(bench: Build) -> None:
    made = bench(ON, Cut(4, tool=False))
    answer = await made.pipeline.stream_events(chat_call("story", stream=True))
    assert [event async for events in answer.outputs for event in events]
    row, used = line(made.records), made.records[0].usage
    assert [one.output_tokens > 0 for one in used] == [True, True]
    assert row.tokens_in == sum(one.input_tokens for one in used)
    assert row.tokens_out == sum(one.output_tokens for one in used)
    assert (row.provider, row.estimated) == ("two-two", True)


async def test_who_has_no_wire_format_has_no_path(bench: Build) -> None:
    made = bench(WORLD, good)
    await made.pipeline.complete(chat_call("one/x", caller=Caller(door="mcp")))
    row = line(made.records)
    assert (row.door, row.method, row.path, row.source_format) == ("mcp", None, None, None)


async def test_who_is_refused_has_no_target(bench: Build) -> None:
    made = bench(WORLD, good)
    with pytest.raises(OmniRouteError) as refused:
        await made.pipeline.complete(chat_call("no-such-model"))
    row = line(made.records)
    assert (row.provider, row.connection_id, row.status, row.attempts) == (None, None, None, 0)
    assert (row.outcome, row.error, row.cache_source) == ("refused", str(refused.value), None)
