"""The commands that manage a gateway, against a real one."""

import inspect
import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.support.commands import called, omniroute
from tests.support.processes import Gateway

from omniroute_app.cli.root import COMMANDS, build

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
KEY = re.compile(r"sk-[0-9a-f]+(-[0-9a-f]+){2}")
LATENCY = re.compile(r"\b\d+ ms")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that the commands find by its data directory."""
    with Gateway(tmp_path_factory.mktemp("commands")) as process:
        yield process


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that asks for a password and for keys."""
    environ = {"INITIAL_PASSWORD": "open-sesame", "REQUIRE_API_KEY": "true"}
    with Gateway(tmp_path_factory.mktemp("closed"), environ=environ) as process:
        yield process


def ran(here: Gateway, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command about the gateway on this machine."""
    return called(*arguments, environ={"DATA_DIR": str(here.data_dir)}, typed=typed)


def said(here: Gateway, command: str, typed: str = "") -> str:
    """What a command printed, without what differs from run to run."""
    done = ran(here, *command.split(), typed=typed)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    for pattern, name in ((KEY, "KEY"), (UUID, "ID"), (TIME, "TIME"), (LATENCY, "MS")):
        text = pattern.sub(name, text)
    return text.replace(here.url, "URL")


def answered(here: Gateway, command: str) -> Any:
    """What a command printed as JSON."""
    return json.loads(ran(here, *command.split(), "--json").stdout)


STORIES = {
    "keys": [
        ("keys create ci --requests-per-day 100 --model demo/*", "KEY\n"),
        ("keys update ci --requests-per-day 0 --no-active", "Changed ci.\n"),
        ("keys rotate ci --overlap 1h", "KEY\n"),
        ("keys rotate ci --yes", "KEY\n"),
        ("keys delete ci --yes", "Deleted ci.\n"),
        ("keys list", "NAME\tKEY\tSCOPES\tACTIVE\tEXPIRES\tLAST USED\tID\n"),
    ],
    "accounts and nodes": [
        (
            "nodes add lab {url}/v1 --name Laboratory",
            "Added lab. Give it an account: omniroute providers add lab\n",
        ),
        (
            "nodes list",
            ("PREFIX\tNAME\tTYPE\tAPI\tADDRESS\tID\n"
            "lab\tLaboratory\topenai-compatible\tchat\tURL/v1\topenai-compatible-chat-ID\n"),
        ),
        (
            "providers add lab --name mine --api-key -",
            "Added mine (openai-compatible-chat-ID). Try it: omniroute providers test SHORT\n",
        ),
        (
            "providers test mine",
            ("NAME\tPROVIDER\tWORKS\tLATENCY\tERROR\n"
            "mine\topenai-compatible-chat-ID\tyes\tMS\t-\n"),
        ),
        ("providers disable mine", "Changed mine.\n"),
        ("providers update mine --name other --priority 3 --max-concurrent 2", "Changed other.\n"),
        (
            "providers list --provider openai",
            "NAME\tPROVIDER\tACTIVE\tSTATUS\tPRIORITY\tKEY\tID\n",
        ),
        (
            "providers list",
            ("NAME\tPROVIDER\tACTIVE\tSTATUS\tPRIORITY\tKEY\tID\n"
            "other\tlab\tno\tactive\t3\tsk-12345****cdef\tID\n"),
        ),
        ("providers remove other --yes", "Deleted other.\n"),
        ("nodes remove lab --yes", "Deleted lab.\n"),
    ],
    "combos": [
        (
            "combos create pair demo/echo demo/tools --strategy weighted --weight 3 --weight 1",
            "Added pair (weighted). Try it: omniroute combos test pair\n",
        ),
        (
            "combos list",
            ("NAME\tSTRATEGY\tACTIVE\tTARGETS\tID\n"
            "pair\tweighted\tyes\tdemo/echo, demo/tools\tID\n"),
        ),
        (
            "combos show pair",
            ("name\tpair\nid\tID\nstrategy\tweighted\nisActive\tyes\nconfig\t{}\n"
            "allowedProviders\t-\nupdatedAt\tSTAMP\nTARGET\tWEIGHT\tLABEL\tACCOUNT\n"
            "demo/echo\t3\t-\t-\ndemo/tools\t1\t-\t-\n"),
        ),
        (
            "combos test pair",
            ("TARGET\tSTATUS\tLATENCY\tSAID\n"
            "demo/echo\tok\tMS\tWhat is 7 + 5? Answer with the number only.\n"
            "demo/tools\tok\tMS\tWhat is 7 + 5? Answer with the number only.\n"),
        ),
        ("combos delete pair --yes", "Deleted pair.\n"),
    ],
    "models": [
        (
            "models list --provider openai --search gpt-5-mini --all",
            "MODEL\tPROVIDER\tAVAILABLE\nopenai/gpt-5-mini\topenai\tno\n",
        ),
        ("models alias fast demo/echo", "fast stands for demo/echo.\n"),
        ("models aliases", "ALIAS\tMODEL\nfast\tdemo/echo\n"),
        ("models unalias fast --yes", "Forgot fast.\n"),
    ],
    "budgets": [
        ("budget set run r1 --daily 1.5 --action alert", ("The budget of run r1 holds from the "
         "next request on.\n")),
        (
            "budget list",
            ("SCOPE\tNAME\tWINDOW\tLIMIT\tSPENT\tRESERVED\tLEFT\tTHEN\n"
            "run\tr1\tdaily\t$1.50\t$0.00\t$0.00\t$1.50\talert\n"),
        ),
        ("budget remove run r1 --yes", "Removed the budget of run r1.\n"),
    ],
    "settings": [
        ("settings set mcpEnabled false", "mcpEnabled is false now.\n"),
        ("settings get mcpEnabled", "false\n"),
        ("settings reset mcpEnabled", "mcpEnabled is true again.\n"),
    ],
    "proxies": [
        (
            "proxies add office http://me:secret@proxy.example.com:8080",
            "Added office. Use it: omniroute proxies assign office global\n",
        ),
        ("proxies assign office provider openai", "provider openai goes through office now.\n"),
        (
            "proxies list",
            ("NAME\tADDRESS\tSTATUS\tFOR\tID\n"
            "office\thttp://proxy.example.com:8080\tactive\tprovider openai\tID\n"),
        ),
        ("proxies unassign provider openai", "provider openai has no proxy of its own now.\n"),
        ("proxies remove office --yes", "Deleted office.\n"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_commands_say(here: Gateway, story: list[tuple[str, str]]) -> None:
    for command, told in story:
        text = said(here, command.format(url=here.url), typed="sk-1234567890abcdef\n")
        text = re.sub(r"providers test [0-9a-f]{8}", "providers test SHORT", text)
        text = re.sub(r"compatible-chat-[0-9a-f]{8}\b", "compatible-chat-ID", text)
        text = re.sub(r"updatedAt\t\S+", "updatedAt\tSTAMP", text)
        assert (command, text) == (command, told)


def test_json_is_what_the_api_says(here: Gateway) -> None:
    api = {
        "keys list": "/api/keys",
        "providers list": "/api/providers",
        "combos list": "/api/combos",
        "nodes list": "/api/provider-nodes",
        "settings list": "/api/settings",
        "models aliases": "/api/models/alias",
        "audit --limit 5": "/api/compliance/audit-log?limit=5",
        "budget list": "/api/usage/budget/scopes",
    }
    for command, path in api.items():
        assert (command, answered(here, command)) == (command, httpx.get(here.url + path).json())
    assert answered(here, "status")["url"] == here.url
    assert answered(here, "health")["status"] == "healthy"
    assert answered(here, "models show gpt-5-mini")[0]["pricing"]["output"] == 2.0


def test_a_new_key_goes_to_the_pipe_and_the_hint_to_people(here: Gateway) -> None:
    done = omniroute("keys", "create", "pipe", environ={"DATA_DIR": str(here.data_dir)})
    headers = {"authorization": f"Bearer {done.stdout.strip()}"}
    assert httpx.get(f"{here.url}/v1/models", headers=headers).status_code == 200
    assert "It is not shown again." in done.stderr
    assert done.stdout.strip() not in ran(here, "keys", "list").stdout
    assert ran(here, "keys", "delete", "pipe", "--yes").returncode == 0


def ask(here: Gateway, model: str, text: str) -> str:
    """One call; its id."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    reply = httpx.post(f"{here.url}/v1/chat/completions", json=body)
    return reply.headers["x-request-id"]


def test_logs_and_usage_tell_of_calls(here: Gateway) -> None:
    request_id = ask(here, "demo/echo", "hello")
    (call,) = answered(here, "logs --limit 1")
    assert (call["id"], call["requestedModel"]) == (request_id, "demo/echo")
    line = said(here, "logs --limit 1").splitlines()[1]
    assert line == "TIME\t200\tdemo/echo\tdemo/echo\t-\t1+1\t$0.00\tMS\t-\tID"
    lines = [row.split("\t") for row in said(here, "usage --by provider").splitlines()]
    assert [row[0] for row in lines] == ["PROVIDER", "demo", "total"]
    assert answered(here, "usage")["totalRequests"] == int(lines[-1][1])
    assert said(here, "logs --status error").splitlines()[1:] == []


@pytest.mark.anyio
async def test_logs_follow_what_comes(here: Gateway) -> None:
    first = ask(here, "demo/echo", "before")
    command = [sys.executable, "-m", "omniroute_app", "logs", "-f", "--limit", "1", "--json"]
    process = await anyio.open_process(
        [*command, "--data-dir", str(here.data_dir)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with anyio.fail_after(30):
        text = await process.stdout.receive()
        second = ask(here, "demo/tools", "after")
        while text.count(b"\n") < 2:
            text += await process.stdout.receive()
    process.terminate()
    await process.aclose()
    assert [json.loads(line)["id"] for line in text.splitlines()] == [first, second]


REFUSALS = {
    "a command nobody knows": ("bduget list", "Did you mean 'budget'?"),
    "a subcommand nobody knows": ("keys lsit", 'Did you mean "list"?'),
    "an option nobody knows": ("usage --perod 1h", "Did you mean --period?"),
    "a value out of a list": ("usage --period 2h", '"24h"'),
    "a word that is missing": ("keys create", "NAME requires an argument"),
    "a key nobody knows": ("keys show nobody", "There is no key 'nobody'."),
    "a setting nobody knows": ("settings set mcpEnabld true", "Did you mean 'mcpEnabled'?"),
    "a value no setting has": ("settings set mcpTransport smoke", "mcpTransport must be one of"),
    "a strategy nobody knows": ("combos create x demo/echo --strategy priorty", "'priority'"),
    "weights that do not fit": ("combos create x demo/echo --weight 1 --weight 2", "1 weights"),
    "a target nobody knows": ("combos delete nowhere --yes", "There is no combo 'nowhere'."),
    "a provider nobody knows": ("providers add opnai --no-key", "Did you mean 'openai'?"),
    "a model nobody knows": ("models show openai/gpt-5-mni", "'openai/gpt-5-mini'"),
    "no duration": ("keys rotate x --overlap soon", "no duration"),
    "nothing to change": ("keys update x", "Say what to change."),
    "a budget that is none": ("budget set run r9", "dailyLimitUsd"),
    "an address that is none": ("keys list --url nowhere", "is no address"),
    "no gateway": ("keys list --url http://127.0.0.1:9", "Start one with: omniroute"),
    "a proxy without a port": ("proxies add p proxy.example.com", "Write the address like"),
    "an empty password": ("login", "No password was given."),
    "a key that cannot be one": ("keys list --key -", "The key is empty"),
    "a key that may not manage": ("login --key sk-nobody", "omniroute login"),
}


@pytest.mark.parametrize(("command", "told"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_one_line(here: Gateway, command: str, told: str) -> None:
    done = ran(here, *command.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert (told in done.stderr, done.stderr.count("\n")) == (True, 1), done.stderr


def test_nobody_is_asked_where_nobody_answers(here: Gateway) -> None:
    ran(here, "models", "alias", "kept", "demo/echo")
    done = ran(here, "models", "unalias", "kept")
    assert (done.returncode, "say --yes" in done.stderr) == (2, True)
    assert answered(here, "models aliases")["aliases"]["kept"] == "demo/echo"


def test_what_fails_a_test_ends_with_1(here: Gateway) -> None:
    failing = ran(here, "nodes", "test", "http://127.0.0.1:9/v1")
    assert (failing.returncode, failing.stdout.startswith("It does not answer")) == (1, True)
    ran(here, "combos", "create", "broken", "demo/flaky-500")
    assert ran(here, "combos", "test", "broken").returncode == 1


def test_a_page_that_is_no_gateway_is_named(here: Gateway) -> None:
    done = ran(here, "keys", "list", "--url", f"{here.url}/docs")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_signing_in_to_a_gateway_elsewhere(closed: Gateway, tmp_path: Path) -> None:
    environ, where = {"DATA_DIR": str(tmp_path)}, ("--url", closed.url)

    def run(*arguments: str, typed: str = "") -> tuple[int, str]:
        done = called(*arguments, *where, environ=environ, typed=typed)
        return done.returncode, done.stdout + done.stderr

    code, told = run("keys", "list")
    assert (code, f"omniroute login --url {closed.url}" in told) == (2, True)
    assert run("login", typed="wrong\n")[0] == 2
    assert run("login", typed="open-sesame\n")[0] == 0
    kept = tmp_path / "cli" / "logins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    code, key = run("keys", "create", "remote", "--scope", "manage")
    assert code == 0
    assert run("logout") == (0, f"Forgot {closed.url}.\n")
    assert run("keys", "list")[0] == 2
    assert run("login", "--key", "-", typed=key.splitlines()[0] + "\n")[0] == 0
    assert run("keys", "list")[0] == 0
    assert json.loads(kept.read_text()).keys() == {closed.url}


def test_the_data_directory_of_a_closed_gateway_is_enough(closed: Gateway) -> None:
    assert ran(closed, "keys", "list").returncode == 0


def test_the_token_of_this_machine_stays_on_it(tmp_path: Path) -> None:
    from omniroute.storage.secrets import Secrets
    from omniroute_app.cli.credentials import CLI_TOKEN_HEADER, found_gateway
    from omniroute_app.cli.where import Where

    secrets = Secrets.load_or_create(tmp_path, {})
    token = secrets.cli_token("omniroute-cli-auth-v1")

    def sent(url: str) -> str | None:
        return found_gateway(Where(url, None, tmp_path)).headers.get(CLI_TOKEN_HEADER)

    local = ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1")
    away = ("http://10.0.0.1:1", "http://localhost.example.com", "http://127.0.0.1.nip.io")
    assert [sent(url) for url in local] == [token] * 3
    assert [sent(url) for url in away] == [None] * 3


HEAVY = {"httpx", "aiohttp", "sqlalchemy", "litestar", "cryptography", "msgspec", "pygments"}


@pytest.mark.parametrize("command", ["", "keys create", "serve"])
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys\nfrom omniroute_app.cli.root import build\n"
        f"words = {command.split()!r}\n"
        "try:\n    build(words[:1])([*words, '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()
    assert "markdown_it" not in done.stderr


def test_every_command_teaches_with_an_example() -> None:
    names = [row.name for row in COMMANDS]
    found = {
        chain: inspect.getdoc(command.default_command) if command.default_command else command.help
        for command, chain in every_command(build(names))
    }
    assert len(found) > len(names)
    assert [chain for chain, text in found.items() if "\n\nExample: " not in (text or "")] == []


def every_command(app: Any, chain: str = "") -> Iterator[tuple[Any, str]]:
    """Every command below an app, groups included, with its words."""
    for name in app:
        if name.startswith("-"):
            continue
        below = app[name]
        yield below, f"{chain} {name}".strip()
        yield from every_command(below, f"{chain} {name}".strip())


def test_pointing_a_client_here_and_back(here: Gateway, tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(here.data_dir), "HOME": str(tmp_path)}
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {}}\n')

    def run(*arguments: str) -> tuple[int, str]:
        done = called("setup", *arguments, environ=environ)
        return done.returncode, done.stdout + done.stderr

    code, told = run("cursor", "--print")
    assert (code, f"+++ {path}" in told, path.read_text()) == (0, True, '{"mcpServers": {}}\n')
    assert run("cursor")[0] == 2  # nobody can be asked
    code, told = run("cursor", "--new-key", "--yes")
    assert (code, "mcp.json.before-omniroute" in told) == (0, True)
    server = json.loads(path.read_text())["mcpServers"]["omniroute"]
    assert server["url"] == f"{here.url}/api/mcp/stream"
    assert server["headers"]["Authorization"] not in told
    key = server["headers"]["Authorization"].removeprefix("Bearer ")
    assert run("cursor", "--yes", "--key", key) == (0, f"Cursor points at {here.url} already.\n")
    rows = json.loads(run("--list", "--json")[1])
    assert [row["id"] for row in rows if row["points"] == "here"] == ["cursor"]
    path.write_text("{}")
    assert run("cursor", "--undo")[0] == 2
    assert run("cursor", "--undo", "--force")[0] == 0
    assert path.read_text() == '{"mcpServers": {}}\n'
    assert run("cursor", "--undo") == (
        2,
        "omniroute: Nothing was written for Cursor, or all of it is undone.\n",
    )
    assert "Did you mean 'cursor'" in run("curser")[1]
    assert "Models are set in Cursor itself" in run("cursor", "--only", "models")[1]
    assert run()[0] == 2


def test_a_client_needs_a_key_where_the_gateway_asks_for_one(
    closed: Gateway, tmp_path: Path
) -> None:
    ours = {"DATA_DIR": str(closed.data_dir), "HOME": str(tmp_path)}
    done = called("setup", "codex", "--yes", environ=ours)
    assert (done.returncode, "--new-key" in done.stderr) == (2, True)
    assert called("setup", "codex", "--yes", "--new-key", environ=ours).returncode == 0
    key = KEY.search((tmp_path / ".codex" / "config.toml").read_text())
    assert key is not None
    headers = {"authorization": f"Bearer {key[0]}"}
    assert httpx.get(f"{closed.url}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(("more", "told"), [("--key sk-12345678", "--api-key"), ("", "--no-key")])
def test_the_gateways_key_is_not_taken_for_the_providers(
    here: Gateway, more: str, told: str
) -> None:
    done = ran(here, *f"providers add openai {more}".split())
    assert (done.returncode, told in done.stderr) == (2, True)
