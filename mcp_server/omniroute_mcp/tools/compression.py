"""Tools about saying the same in fewer tokens."""

from omniroute.operations.compression.combos import CompressionCombos, list_compression_combos
from omniroute.operations.compression.settings import (
    Configured,
    ConfigureQuery,
    EngineQuery,
    EngineSet,
    configure_compression,
    set_engine,
)
from omniroute.operations.compression.status import (
    ComboStats,
    CompressionStatus,
    StatsQuery,
    combo_stats,
    compression_status,
)
from omniroute_mcp.tools.row import ADVANCED_S, NoInput, ToolRow, bare, plain

READS = frozenset({"read:compression"})
WRITES = frozenset({"write:compression"})

TOOLS = (
    ToolRow(
        number=23,
        name="omniroute_compression_status",
        title="How compression stands",
        description=(
            "What of compression is switched on, what it has saved by mode and engine, and what "
            "listing short descriptions over MCP saves. Says whether prompts are compressed."
        ),
        params=NoInput,
        result=CompressionStatus,
        scopes=READS,
        phase=2,
        audit="basic",
        call=bare(compression_status),
        source_endpoints=("/api/compression/status",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=24,
        name="omniroute_compression_configure",
        title="Configure compression",
        description=(
            "Change what of compression is on: mode, when it begins by itself, the system prompt, "
            "short descriptions over MCP. What is not named stays."
        ),
        params=ConfigureQuery,
        result=Configured,
        scopes=WRITES,
        phase=2,
        audit="full",
        call=plain(configure_compression),
        source_endpoints=("/api/settings/compression",),
        writes=True,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=25,
        name="omniroute_set_compression_engine",
        title="Choose a compression engine",
        description=(
            "Choose what compresses prompts and how strongly: off, caveman for prose, rtk for "
            "outputs of commands, stacked for both. Returns every setting as it is then."
        ),
        params=EngineQuery,
        result=EngineSet,
        scopes=WRITES,
        phase=2,
        audit="full",
        call=plain(set_engine),
        source_endpoints=("/api/settings/compression",),
        writes=True,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=26,
        name="omniroute_list_compression_combos",
        title="Compression combos",
        description="The named pipelines of compression engines, the default one first.",
        params=NoInput,
        result=CompressionCombos,
        scopes=READS,
        phase=2,
        audit="basic",
        call=bare(list_compression_combos),
        source_endpoints=("/api/context/combos",),
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=27,
        name="omniroute_compression_combo_stats",
        title="What compression saved",
        description="What compression saved in a period, in all or by one compression combo.",
        params=StatsQuery,
        result=ComboStats,
        scopes=READS,
        phase=2,
        audit="basic",
        call=plain(combo_stats),
        source_endpoints=("/api/context/analytics",),
        time_limit_s=ADVANCED_S,
    ),
)
