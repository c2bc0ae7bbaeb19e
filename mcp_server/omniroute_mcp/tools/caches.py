"""Tools about caches."""

from omniroute.operations.chats.cache import Invalidated
from omniroute.operations.chats.cache_report import (
    CacheReport,
    FlushQuery,
    cache_report,
    flush_cache,
)
from omniroute_mcp.tools.row import ADVANCED_S, NoInput, ToolRow, bare, plain

TOOLS = (
    ToolRow(
        number=21,
        name="omniroute_cache_stats",
        title="How caches do",
        description=(
            "Hits, misses and savings of the gateway's answer cache and of providers' prompt "
            "caches. Use it to see whether caching pays."
        ),
        params=NoInput,
        result=CacheReport,
        scopes=frozenset({"read:cache"}),
        phase=2,
        audit="basic",
        call=bare(cache_report),
        source_endpoints=("/api/cache",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=22,
        name="omniroute_cache_flush",
        title="Drop kept answers",
        description=(
            "Drop one kept answer by signature, those of a model, or all of them when neither is "
            "given. Use it when answers are stale; returns how many went."
        ),
        params=FlushQuery,
        result=Invalidated,
        scopes=frozenset({"write:cache"}),
        phase=2,
        audit="full",
        call=plain(flush_cache),
        source_endpoints=("/api/cache",),
        writes=True,
        destructive=True,
        time_limit_s=ADVANCED_S,
        confirm=lambda query: (
            None
            if query.signature is not None or query.model is not None
            else "Drop every kept answer?"
        ),
    ),
)
