"""Management of quotas: what is left of one account, and of all. Source: 02 §9.1."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.routing import quotas
from omniroute.operations.routing.quotas import LiveQuota, QuotaOverview, QuotaQuery, QuotaWindows

ProviderName = Annotated[str | None, QueryParameter(name="provider")]
AccountId = Annotated[str | None, QueryParameter(name="connectionId")]


@get("/api/usage/quota", tags=["Quotas"], operation_id="get_quotas")
async def get_quotas(
    engine: TheEngine,
    operator: Operator,
    provider: ProviderName = None,
    connection_id: AccountId = None,
) -> QuotaOverview:
    """What is known of the quotas of all accounts, least left first."""
    query = QuotaQuery(provider=provider, connection_id=connection_id)
    return await quotas.quota_overview(engine, operator, query)


@get("/api/usage/{connection_id:str}", tags=["Quotas"], operation_id="get_account_quota")
async def get_account_quota(
    engine: TheEngine, operator: Operator, connection_id: FromPath[str]
) -> LiveQuota:
    """Ask the provider of an account what is left of it; the answer is kept."""
    return await quotas.live_quota(engine, operator, connection_id)


@get("/api/providers/quota-windows", tags=["Quotas"], operation_id="get_quota_windows")
async def get_quota_windows(engine: TheEngine, operator: Operator) -> QuotaWindows:
    """The windows that were seen of each provider, and where accounts are cut off by default."""
    return await quotas.quota_windows(engine, operator)


QUOTAS: tuple[HTTPRouteHandler, ...] = (get_quotas, get_account_quota, get_quota_windows)
"""Every route about quotas."""
