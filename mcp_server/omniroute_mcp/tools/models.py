"""Tools about models and what they cost."""

from omniroute.operations.models.models import ModelsCatalog, ModelsQuery, list_models_catalog
from omniroute_mcp.tools.row import ToolRow, plain

TOOLS = (
    ToolRow(
        number=8,
        name="omniroute_list_models_catalog",
        title="Models",
        description="The models that can be asked for, with state and price.",
        params=ModelsQuery,
        result=ModelsCatalog,
        scopes=frozenset({"read:models"}),
        phase=1,
        audit="none",
        call=plain(list_models_catalog),
        source_endpoints=("/v1/models",),
        summary=lambda result: {"modelCount": len(result["models"])},
    ),
)
