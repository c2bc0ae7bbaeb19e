"""The example of the guide is one that can be applied."""

import re
from pathlib import Path

import pytest
from tests.omniroute.operations.configuration_file.conftest import OpenEngine

from omniroute.caller import SYSTEM
from omniroute.operations.configuration.config_files import apply_configuration, plan_configuration
from omniroute.operations.configuration.configuration_file.deciding import KINDS

pytestmark = pytest.mark.anyio

GUIDE = Path(__file__).parents[4] / "docs/guides/configuration-file.md"


async def test_the_example_of_the_guide_can_be_applied(open_in: OpenEngine) -> None:
    found = re.search(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    names = re.findall(r'env = "([A-Z_]+)"', found[1])
    async with open_in(environ=dict.fromkeys(names, "a-secret-of-many-letters")) as engine:
        place = engine.data_dir / "keys"
        place.mkdir()
        (place / "openai-spare").write_text("sk-spare\n")
        applied = await apply_configuration(engine, SYSTEM, found[1])
        again = await plan_configuration(engine, SYSTEM, found[1])
    assert applied.warnings == []
    assert [made.name for made in applied.keys] == ["ci"]
    assert {one.section for one in applied.changes} == {kind.section for kind in KINDS}
    assert again.changes == []
