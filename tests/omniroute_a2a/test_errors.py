"""No failure leaves without a code, and none carries the text of a stray exception."""

import logging
from collections.abc import Iterator

import pytest
from a2a.utils.errors import InternalError, InvalidParamsError, TaskNotFoundError

from omniroute import errors
from omniroute.errors import OmniRouteError
from omniroute_a2a.errors import CODES, REASONS, Fault, error_details, fault_of, nearest


def tree(kind: type[OmniRouteError]) -> Iterator[type[OmniRouteError]]:
    for child in kind.__subclasses__():
        yield child
        yield from tree(child)


def test_every_class_of_the_tree_has_a_code() -> None:
    ours = [kind for kind in tree(OmniRouteError) if kind.__module__ == errors.__name__]
    assert len(ours) >= 15
    assert [kind for kind in ours if not any(base in CODES for base in kind.__mro__)] == []


FAULTS: dict[str, tuple[Exception, tuple[int, str, int]]] = {
    "ours": (errors.UpstreamFailed("All failed."), (-32603, "All failed.", 200)),
    "a subclass takes its parent's": (errors.UnknownModel("No x."), (-32602, "No x.", 200)),
    "unauthenticated": (errors.Unauthenticated("Key?"), (-32600, "Key?", 401)),
    "forbidden": (errors.Forbidden("No."), (-32600, "No.", 403)),
    "disabled": (errors.Disabled("Off."), (-32000, "Off.", 503)),
    "the SDK's": (TaskNotFoundError(), (-32001, "Task not found", 200)),
    "the SDK's own accident": (InternalError("secret"), (-32603, "Internal error", 200)),
    "a stray one": (RuntimeError("secret"), (-32603, "Internal error", 200)),
    "a fault": (Fault(-32601, "None.", status=404), (-32601, "None.", 404)),
}


@pytest.mark.parametrize(("error", "fault"), FAULTS.values(), ids=FAULTS)
def test_fault_of(error: Exception, fault: tuple[int, str, int]) -> None:
    found = fault_of(error)
    assert (found.code, found.message, found.status) == fault


def test_a_stray_exception_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        fault_of(RuntimeError("secret"))
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_field_violations_ride_along() -> None:
    error = InvalidParamsError("Bad", data={"errors": [{"field": "a.b", "message": "Needed."}]})
    assert error_details(fault_of(error)) == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "INVALID_PARAMS",
            "domain": "a2a-protocol.org",
            "metadata": {},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "a.b", "description": "Needed."}],
        },
    ]


def test_every_code_a_1_0_client_may_see_has_a_reason() -> None:
    assert set(CODES.values()) - {-32000} <= set(REASONS)


def test_a_class_without_any_row_is_an_internal_error() -> None:
    assert nearest(CODES, OmniRouteError) == -32603
