"""The documentation is true: generated pages are current, links lead somewhere, snippets run."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.processes import Gateway

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
DEFAULT_URL = "http://localhost:20128"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_what_the_code_says(generator: ModuleType) -> None:
    found = {path.name: path.read_text() for path in (ROOT / "docs/reference").glob("*.md")}
    assert found == generator.pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for the snippets."""
    with Gateway(tmp_path_factory.mktemp("docs")) as gateway:
        yield gateway


def snippets(language: str) -> list[tuple[str, str]]:
    """Page and text of every fenced block of a language."""
    fence = re.compile(rf"^( *)```{language}\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
    return [
        (str(page.relative_to(ROOT)), re.sub(rf"^{found[1]}", "", found[2], flags=re.MULTILINE))
        for page in PAGES
        for found in fence.finditer(page.read_text())
    ]


APART = {"docs/guides/signing-in.md", "docs/guides/mcp.md"}
"""Pages after whose snippets not everybody may manage the gateway any more, or that want one
without keys."""

CURLS = [row for row in snippets("sh") if row[1].startswith("curl")]
PYTHONS = [row for row in snippets("python") if row[1].startswith(("from", "import"))]


def test_there_are_snippets_to_run() -> None:
    assert (len(CURLS) >= 5, len(PYTHONS) >= 1) == (True, True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_shell_snippets_run_in_the_order_of_their_page(documented: Gateway) -> None:
    run_snippets(documented, [row for row in CURLS if row[0] not in APART])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", sorted(APART))
def test_snippets_that_want_a_gateway_of_their_own_run(tmp_path: Path, page: str) -> None:
    with Gateway(tmp_path) as gateway:
        run_snippets(gateway, [row for row in CURLS if row[0] == page])


def run_snippets(gateway: Gateway, rows: list[tuple[str, str]]) -> None:
    """Each must be answered with a success."""
    request_id = ""
    for page, text in rows:
        command = text.replace(DEFAULT_URL, gateway.url).replace("REQUEST_ID", request_id)
        done = subprocess.run(
            ["bash", "-c", command.strip() + " -i"],
            capture_output=True,
            text=True,
            check=True,
            cwd=gateway.data_dir,
        )
        status = done.stdout.split(" ", 2)[1]
        assert status in ("200", "201"), f"{page}: {text}\n{done.stdout}"
        request_id = re.findall(r"x-request-id: (\S+)", done.stdout)[0]


@pytest.mark.parametrize(("page", "text"), PYTHONS, ids=[row[0] for row in PYTHONS])
def test_python_snippets_run(documented: Gateway, page: str, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text.replace(DEFAULT_URL, documented.url)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Hello\n"), done.stderr
