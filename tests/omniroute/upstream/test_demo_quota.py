"""What the demo upstream says is left: as scripted by the path, in process and over HTTP."""

from typing import Any

import httpx
import msgspec
import pytest

from omniroute.catalog.quota_report import QuotaReport, QuotaWindow
from omniroute.catalog.quota_shapes import read_report
from omniroute.upstream.demo.quota import quota_script
from omniroute.upstream.demo.sender import DemoSender
from omniroute.upstream.demo.server import demo_app
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000

SCRIPTS: dict[str, tuple[str, int, float | None, float]] = {
    "as it comes": ("", 200, 80, 0),
    "as much as told": ("15", 200, 15, 0),
    "nothing": ("0", 200, 0, 0),
    "all": ("100", 200, 100, 0),
    "late": ("slow-250", 200, 80, 0.25),
    "a failure": ("flaky-503", 503, None, 0),
    "more than there is": ("101", 404, None, 0),
    "nonsense": ("much", 404, None, 0),
}


@pytest.mark.parametrize(("told", "status", "left", "delay"), SCRIPTS.values(), ids=SCRIPTS)
def test_the_path_says_what_is_left(
    told: str, status: int, left: float | None, delay: float
) -> None:
    script = quota_script(told, NOW_MS)
    windows = script.body.get("quotas", {})
    assert (script.status, script.delay_s) == (status, delay)
    assert {row["remainingPercentage"] for row in windows.values()} == (
        set() if left is None else {left}
    )


def test_it_is_a_report_whose_resets_lie_ahead() -> None:
    report = read_report("omniroute", encoded(quota_script("25", NOW_MS).body), NOW_MS)
    resets = {name: row.reset_at_ms for name, row in report.windows.items()}
    assert all(at is not None and at > NOW_MS for at in resets.values())
    assert report == QuotaReport(
        plan="free",
        windows={
            name: QuotaWindow(left=0.25, used=750, total=1000, reset_at_ms=at)
            for name, at in resets.items()
        },
    )


def encoded(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)


async def test_it_is_the_same_over_http_and_in_process() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    transport = httpx.ASGITransport(demo_app(sleep))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        over_http = (await client.get("/v1/quota/slow-10")).json()
        assert (await client.get("/v1/quota")).json()["quotas"].keys() == over_http["quotas"].keys()
    request = OutboundRequest(method="GET", url="demo://in-process/quota/slow-10", headers={})
    response = await DemoSender(sleep).send(request)
    assert msgspec.json.decode(await response.read()) == over_http
    assert slept == [0.01, 0.01]
