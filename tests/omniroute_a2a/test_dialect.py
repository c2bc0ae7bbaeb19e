"""Every row of 04 §5, and what the version header may say."""

from typing import Any

import pytest
from a2a.types import TaskState

from omniroute_a2a.dialect import (
    V03_ONLY_METHODS,
    V10_METHODS,
    Dialect,
    check_version,
    dialect_of,
)
from omniroute_a2a.errors import Fault
from omniroute_a2a.jsonrpc import METHODS
from omniroute_a2a.states import STORED

SEED, V03, V10 = Dialect.SEED, Dialect.V03, Dialect.V10

ROWS: dict[str, tuple[str, dict[str, Any], Dialect | None]] = {
    **{f"1.0 {name}": (name, {}, V10) for name in sorted(V10_METHODS)},
    "a 1.0 name beats seed params": ("SendMessage", {"messages": []}, V10),
    **{f"0.3 {name}": (name, {"taskId": "t"}, V03) for name in sorted(V03_ONLY_METHODS)},
    "messages": ("message/send", {"messages": []}, SEED),
    "skill": ("message/stream", {"skill": "x", "message": {"parts": []}}, SEED),
    "skillId": ("message/send", {"skillId": "x"}, SEED),
    "string content": ("message/send", {"message": {"content": "hi"}}, SEED),
    "content beside parts": ("message/send", {"message": {"content": "hi", "parts": []}}, V03),
    "content of another type": ("message/send", {"message": {"content": []}}, V03),
    "parts": ("message/stream", {"message": {"parts": []}}, V03),
    "a message that is none": ("message/send", {"message": "hi"}, V03),
    "nothing": ("message/send", {}, V03),
    "get by taskId": ("tasks/get", {"taskId": "t"}, SEED),
    "get by both": ("tasks/get", {"taskId": "t", "id": "t"}, SEED),
    "get by id": ("tasks/get", {"id": "t"}, V03),
    "cancel by taskId": ("tasks/cancel", {"taskId": "t"}, SEED),
    "cancel by id": ("tasks/cancel", {"id": "t"}, V03),
    "unknown": ("tasks/list", {}, None),
    "wrong case": ("sendmessage", {}, None),
}


@pytest.mark.parametrize(("method", "params", "dialect"), ROWS.values(), ids=ROWS)
def test_dialect_of(method: str, params: dict[str, Any], dialect: Dialect | None) -> None:
    assert dialect_of(method, params) is dialect


def test_every_method_of_every_dialect_is_answered() -> None:
    shared = {"message/send", "message/stream", "tasks/get", "tasks/cancel"}
    assert {dialect: frozenset(methods) for dialect, methods in METHODS.items()} == {
        SEED: shared,
        V03: V03_ONLY_METHODS | shared,
        V10: V10_METHODS,
    }


VERSIONS: dict[str, tuple[str | None, Dialect, int | None]] = {
    "absent, 1.0": (None, V10, None),
    "absent, 0.3": (None, V03, None),
    "empty": ("", V10, None),
    "1.0": ("1.0", V10, None),
    "1.7": ("1.7", V10, None),
    "0.3": ("0.3", V03, None),
    "0.3.0": (" 0.3.0 ", V03, None),
    "0.3 for seed": ("0.3", SEED, None),
    "0.3 for 1.0": ("0.3", V10, -32009),
    "1.0 for 0.3": ("1.0", V03, -32603),
    "1.0 for seed": ("1.0", SEED, -32603),
    "2.0": ("2.0", V03, -32009),
    "words": ("latest", V10, -32009),
}


@pytest.mark.parametrize(("header", "dialect", "code"), VERSIONS.values(), ids=VERSIONS)
def test_check_version(header: str | None, dialect: Dialect, code: int | None) -> None:
    if code is None:
        check_version(header, dialect)
        return
    with pytest.raises(Fault) as refused:
        check_version(header, dialect)
    assert refused.value.code == code


WORDS = {
    "SUBMITTED": "submitted",
    "WORKING": "working",
    "INPUT_REQUIRED": "working",
    "AUTH_REQUIRED": "working",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "REJECTED": "failed",
    "CANCELED": "cancelled",
}


def test_every_state_has_a_word_in_seed() -> None:
    assert {TaskState.Name(state): word for state, word in STORED.items()} == {
        f"TASK_STATE_{name}": word for name, word in WORDS.items()
    }
