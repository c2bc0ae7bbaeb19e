"""Every failure has a face in MCP, and none shows its cause."""

import inspect

import pytest

from omniroute import errors
from omniroute.errors import OmniRouteError
from omniroute_mcp.errors import failed

CLASSES = {
    name: one
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, OmniRouteError)
}


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_the_tree_is_told_as_it_is(kind: type[OmniRouteError]) -> None:
    made = (
        errors.ValidationFailed([("field", "is wrong")])
        if kind is errors.ValidationFailed
        else kind("what to do next")
    )
    result, code = failed(made, "a_tool")
    assert result.is_error
    assert result.content[0].text == f"Error: {made}"  # type: ignore[union-attr]
    assert code == kind.__name__


def test_anything_else_is_withheld() -> None:
    result, code = failed(RuntimeError("/etc/secret sk-1234567890abcdef"), "a_tool")
    assert result.content[0].text == "Error executing tool a_tool"  # type: ignore[union-attr]
    assert code == "internal_error"
