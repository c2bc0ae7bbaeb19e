"""Tools about combos."""

from omniroute.operations.combos.combo_listing import CombosList, CombosQuery, list_combos
from omniroute_mcp.tools.row import ToolRow, plain

TOOLS = (
    ToolRow(
        number=2,
        name="omniroute_list_combos",
        title="Combos",
        description="The configured model chains with their targets, optionally with metrics.",
        params=CombosQuery,
        result=CombosList,
        scopes=frozenset({"read:combos"}),
        phase=1,
        audit="basic",
        call=plain(list_combos),
        source_endpoints=("/api/combos",),
    ),
)
