"""The configuration file on the command line and at the start of a gateway."""

import json
import os
import signal
from pathlib import Path

import httpx
import pytest
from tests.support.commands import omniroute
from tests.support.processes import Gateway

TEXT = """
[accounts.openai.main]
api_key = { env = "OPENAI_TEST" }

[combos.fast]
models = ["openai/gpt-4o"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "omniroute.toml"
    path.write_text(TEXT)
    return path


def config(data_dir: Path, *arguments: str) -> tuple[int, str, str]:
    done = omniroute(
        "config", *arguments, "--data-dir", str(data_dir), environ={"OPENAI_TEST": "sk-1"}
    )
    return done.returncode, done.stdout, done.stderr


def test_a_data_directory_without_a_gateway(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert config(data, "plan", str(file), "--exit-code")[0] == 2
    assert config(data, "apply", str(file))[0] == 2  # nobody can be asked
    code, out, _ = config(data, "apply", str(file), "--yes")
    assert (code, out.splitlines()[-1]) == (0, "Applied.")
    assert config(data, "plan", str(file), "--exit-code")[0] == 0
    exported = config(data, "export")[1]
    assert 'api_key = { env = "OPENAI_MAIN_API_KEY" }' in exported
    file.write_text(TEXT.replace("models", "modls"))
    code, _, said = config(data, "check", str(file))
    assert (code, said) == (
        2,
        f"omniroute: {file}:6:1: combos.fast.modls is not known. Did you mean 'models'?\n",
    )
    assert config(data, "plan", str(file), "--exit-code")[0] == 1


def test_a_gateway_starts_with_its_file_and_reads_it_again(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Gateway(
        data,
        arguments=["--config", str(file)],
        environ={"OPENAI_TEST": "sk-1", "APP_LOG_LEVEL": "info"},
    ) as gateway:

        def combos() -> list[str]:
            found = httpx.get(f"{gateway.url}/api/combos").json()["combos"]
            return [one["name"] for one in found]

        def hang_up(until: str) -> None:
            seen = len(gateway.lines)
            os.kill(gateway.pid, signal.SIGHUP)
            gateway.wait_for(until)
            assert any(until in line for line in gateway.lines[seen:])

        assert combos() == ["fast"]
        plan = json.loads(config(data, "plan", str(file), "--json")[1])
        assert (plan["changes"], plan["unchanged"]) == ([], 2)
        file.write_text("[combos.other]\nmodels = []\n")
        hang_up("configuration_applied")
        assert combos() == ["other"]
        file.write_text("[combos.other]\nmodel = []\n")
        hang_up("combos.other.model is not known")
        assert combos() == ["other"]


def test_a_broken_file_refuses_the_start(file: Path, tmp_path: Path) -> None:
    file.write_text("[combo.fast]\n")
    done = omniroute(
        "serve", "--port", "0", "--data-dir", str(tmp_path / "data"),
        environ={"OMNIROUTE_CONFIG": str(file), "OMNIROUTE_DISCOVER": "false"},
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{file}:1:2: combo is not a section of this file." in done.stderr
