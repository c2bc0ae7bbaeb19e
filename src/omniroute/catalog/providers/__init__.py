"""The providers this build knows: adding one is adding a row."""

from collections.abc import Mapping

from omniroute.catalog.provider import Auth, Provider
from omniroute.catalog.providers.anthropic_like import ANTHROPIC_LIKE
from omniroute.catalog.providers.clouds import CLOUDS
from omniroute.catalog.providers.first_tier import FIRST_TIER
from omniroute.catalog.providers.local import LOCAL
from omniroute.catalog.providers.search import SEARCH
from omniroute.catalog.providers.second_tier import SECOND_TIER
from omniroute.catalog.quota_shapes import QuotaApi

DEMO = Provider(
    id="demo",
    name="Demo",
    base_url="demo://in-process",
    source="docs/demo-provider.md",
    auth=Auth.NONE,
    keyless=True,
    in_process=True,
    quota=QuotaApi(path="quota", shape="omniroute", source="docs/demo-provider.md"),
)

PROVIDERS: Mapping[str, Provider] = {
    row.id: row
    for row in (*FIRST_TIER, *CLOUDS, *SECOND_TIER, *ANTHROPIC_LIKE, *LOCAL, DEMO, *SEARCH)
}
"""Every provider by id."""

PREFIXES: Mapping[str, Provider] = {
    name: row for row in PROVIDERS.values() if row.search is None for name in row.names
}
"""Every provider of models by each prefix a model string may carry: ids and aliases."""
