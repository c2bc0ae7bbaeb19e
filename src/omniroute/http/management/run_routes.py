"""What one undertaking caused, as routes."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.paging import Offset, PageLimit
from omniroute.http.problems import get
from omniroute.operations.usage.runs import RunList, RunQuery, RunTree, list_runs, run_tree


@get("/api/runs", tags=["Runs"], operation_id="list_runs")
async def runs(
    engine: TheEngine, operator: Operator, limit: PageLimit = 50, offset: Offset = 0
) -> RunList:
    """The latest runs, each with what it cost so far."""
    return await list_runs(engine, operator, limit, offset)


@get("/api/runs/{run_id:str}", tags=["Runs"], operation_id="get_run")
async def run(engine: TheEngine, operator: Operator, run_id: FromPath[str]) -> RunTree:
    """Everything a run caused, as a tree of tasks, tool calls and model calls."""
    return await run_tree(engine, operator, RunQuery(run_id))


RUNS: tuple[HTTPRouteHandler, ...] = (runs, run)
"""Every route about runs."""
