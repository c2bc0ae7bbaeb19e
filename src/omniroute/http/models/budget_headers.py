"""What is left of the money a request counts against, as headers of its answer."""

from collections.abc import Iterable

from omniroute.pipeline.money.purse import Purse


def budget_headers(purses: Iterable[Purse], now_ms: int) -> dict[str, str]:
    """The tightest limit: USD left, USD of the limit, whole seconds until it begins anew.

    Nothing without a limit, or while nobody knows what was spent of it; no reset for one that
    never begins anew.
    """
    known = [purse for purse in purses if purse.known]
    if not known:
        return {}
    tightest = min(known, key=lambda purse: purse.unspent)
    headers = {
        "x-omniroute-budget-remaining": _usd(max(0, tightest.unspent)),
        "x-omniroute-budget-limit": _usd(tightest.window.limit),
    }
    end_ms = tightest.window.end_ms
    if end_ms is not None:
        headers["x-omniroute-budget-reset"] = str(max(0, -(-(end_ms - now_ms) // 1000)))
    return headers


def _usd(micro_usd: int) -> str:
    return f"{micro_usd / 1e6:.6f}"
