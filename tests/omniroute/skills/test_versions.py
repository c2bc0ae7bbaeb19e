"""Which of several versions is meant."""

import pytest

from omniroute.skills.versions import fitting

THERE = ("1.0.0", "1.2.0", "1.2.3", "1.10.0", "2.0.0", "0.3.1", "0.3.4", "0.4.0", "0.0.7", "x")

FITTING: dict[str, tuple[str | None, list[str]]] = {
    "the highest first": (
        None,
        ["2.0.0", "1.10.0", "1.2.3", "1.2.0", "1.0.0", "0.4.0", "0.3.4", "0.3.1", "0.0.7"],
    ),
    "one": ("1.2.0", ["1.2.0"]),
    "one, said loudly": ("==1.2.0", ["1.2.0"]),
    "compatible": ("^1.2.0", ["1.10.0", "1.2.3", "1.2.0"]),
    "compatible before the first": ("^0.3.1", ["0.3.4", "0.3.1"]),
    "compatible before anything": ("^0.0.7", ["0.0.7"]),
    "patches": ("~1.2.1", ["1.2.3"]),
    "newer": ("> 1.2.3", ["2.0.0", "1.10.0"]),
    "as new": (">=1.10.0", ["2.0.0", "1.10.0"]),
    "older": ("<0.3.4", ["0.3.1", "0.0.7"]),
    "as old": ("<=0.3.1", ["0.3.1", "0.0.7"]),
    "none": ("3.0.0", []),
}


@pytest.mark.parametrize(("wanted", "found"), FITTING.values(), ids=FITTING)
def test_fitting(wanted: str | None, found: list[str]) -> None:
    assert fitting(THERE, wanted) == found


@pytest.mark.parametrize("wanted", ["", "1.0", "latest", "^", ">>1.0.0", "1.0.0 2.0.0", "^1.x.0"])
def test_what_is_no_version(wanted: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any will do
        fitting(THERE, wanted)
