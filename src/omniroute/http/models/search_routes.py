"""Web search over HTTP. 01 §15."""

from typing import Any

import msgspec
from litestar import Request

from omniroute.dialects.fields import read_object
from omniroute.errors import ValidationFailed
from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.problems import model_get, model_post
from omniroute.operations.inputs import field_problem
from omniroute.operations.search.analytics import SearchAnalytics, search_analytics
from omniroute.operations.search.asked import SearchInput
from omniroute.operations.search.results import SearchReply
from omniroute.operations.search.search import SearchProviderList, search_providers, web_search


@model_get(
    "/v1/search",
    summary="List search providers",
    tags=["Search"],
    operation_id="list_search_providers",
)
async def search_providers_route(engine: TheEngine, client: Client) -> SearchProviderList:
    """Every provider of web search, and which of them are configured."""
    return await search_providers(engine, client)


@model_get(
    "/v1/search/analytics",
    summary="What searches there were",
    tags=["Search"],
    operation_id="search_analytics",
)
async def search_analytics_route(engine: TheEngine, client: Client) -> SearchAnalytics:
    """How many searches there were, by provider and hour, what they cost, and how many were kept
    results: of the key that asks, or of everybody where it may manage."""
    return await search_analytics(engine, client)


@model_post(
    "/v1/search", status_code=200, summary="Search the web", tags=["Search"], operation_id="search"
)
async def search_route(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client
) -> SearchReply:
    """Results from the named provider, or from the best configured one; others are asked when it
    fails."""
    wanted = _wanted(await request.body())
    request_id: str = request.scope["state"]["request_id"]
    return await web_search(engine, client, wanted, request_id=request_id)


def _wanted(body: bytes) -> SearchInput:
    """The input in a body; numbers may come as text."""
    fields = read_object(body)
    try:
        return msgspec.convert(fields, SearchInput, strict=False)
    except msgspec.ValidationError as error:
        raise ValidationFailed([field_problem(str(error), SearchInput)]) from error


SEARCH_ROUTES = [search_providers_route, search_analytics_route, search_route]
