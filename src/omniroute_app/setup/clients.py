"""The clients that can be pointed at a gateway, each a row with the source of its facts."""

from dataclasses import dataclass
from typing import Any, Literal

from omniroute_app.setup.places import Place
from omniroute_app.setup.puts import Item, Put

NAME = "omniroute"
FormatName = Literal["json", "jsonc", "toml", "yaml", "env"]
_BEARER = {"Authorization": "Bearer {key}"}
_REMOTE: dict[str, Any] = {"url": "{mcp}", "headers": _BEARER}


@dataclass(frozen=True, slots=True)
class File:
    """One file of a client and what goes into it. `new` is what a file that does not exist yet
    starts from."""

    kind: Literal["mcp", "models"]
    place: Place
    format: FormatName
    puts: tuple[Put, ...]
    new: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that speaks to gateways. `command` is what starts it, `note` says what has to be
    done by hand."""

    id: str
    name: str
    sources: tuple[str, ...]
    files: tuple[File, ...]
    command: str | None = None
    note: str | None = None


def _home(path: str, override: tuple[str, str] | None = None) -> Place:
    return Place(f"{{home}}/{path}", f"{{home}}/{path}", f"{{home}}/{path}", override)


def _by_system(path: str) -> Place:
    """A program's own folder: XDG on Linux, Application Support on macOS, AppData on Windows."""
    return Place(
        f"{{config}}/{path}", f"{{home}}/Library/Application Support/{path}", f"{{appdata}}/{path}"
    )


def _both(
    place: Place, format_: FormatName, mcp: Put, models: Put, new: str = ""
) -> tuple[File, ...]:
    """One file that has tools and models."""
    return (
        File("mcp", place, format_, (mcp,), new),
        File("models", place, format_, (models,), new),
    )


_ZED = Place(
    "{config}/zed/settings.json", "{home}/.config/zed/settings.json", "{appdata}/Zed/settings.json"
)
_OPENCODE = Place(
    "{config}/opencode/opencode.json",
    "{config}/opencode/opencode.json",
    "{config}/opencode/opencode.json",
    ("OPENCODE_CONFIG", ""),
)

CLIENTS = (
    Client(
        id="claude-code",
        name="Claude Code",
        command="claude",
        sources=(
            "https://code.claude.com/docs/en/mcp",
            "https://code.claude.com/docs/en/llm-gateway-connect",
        ),
        files=(
            File(
                "mcp",
                _home(".claude.json", ("CLAUDE_CONFIG_DIR", ".claude.json")),
                "json",
                (Put(("mcpServers", NAME), {"type": "http", **_REMOTE}),),
            ),
            File(
                "models",
                _home(".claude/settings.json", ("CLAUDE_CONFIG_DIR", "settings.json")),
                "json",
                (
                    Put(("env", "ANTHROPIC_BASE_URL"), "{url}"),
                    Put(("env", "ANTHROPIC_AUTH_TOKEN"), "{any_key}"),
                    Put(("env", "ANTHROPIC_MODEL"), "{model}"),
                ),
            ),
        ),
        note="Claude Code reads both files when it starts: start it anew.",
    ),
    Client(
        id="claude-desktop",
        name="Claude Desktop",
        sources=("https://modelcontextprotocol.io/docs/develop/connect-local-servers",),
        files=(
            File(
                "mcp",
                _by_system("Claude/claude_desktop_config.json"),
                "json",
                (Put(("mcpServers", NAME), {"command": "{command}", "args": "{arguments}"}),),
            ),
        ),
        note="Quit Claude Desktop and open it again. Its models cannot be pointed elsewhere.",
    ),
    Client(
        id="cursor",
        name="Cursor",
        command="cursor",
        sources=("https://cursor.com/docs/mcp",),
        files=(
            File("mcp", _home(".cursor/mcp.json"), "json", (Put(("mcpServers", NAME), _REMOTE),)),
        ),
        note=(
            "Models are set in Cursor itself: Settings, Models, Override OpenAI Base URL. Cursor "
            "asks it from its own servers, so the address must be reachable from the internet."
        ),
    ),
    Client(
        id="vscode",
        name="VS Code",
        command="code",
        sources=("https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",),
        files=(
            File(
                "mcp",
                _by_system("Code/User/mcp.json"),
                "jsonc",
                (Put(("servers", NAME), {"type": "http", **_REMOTE}),),
            ),
        ),
        note="Models are added in VS Code itself: Chat, Manage Language Models.",
    ),
    Client(
        id="cline",
        name="Cline",
        sources=(
            "https://docs.cline.bot/mcp/configuring-mcp-servers",
            "https://docs.cline.bot/mcp/connecting-to-a-remote-server",
        ),
        files=(
            File(
                "mcp",
                _by_system(
                    "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
                ),
                "json",
                (Put(("mcpServers", NAME), {"type": "streamableHttp", **_REMOTE}),),
            ),
        ),
        note="Models are set in Cline itself: API Provider, OpenAI Compatible, Base URL {v1}.",
    ),
    Client(
        id="codex",
        name="Codex",
        command="codex",
        sources=(
            "https://developers.openai.com/codex/config-reference/",
            "https://developers.openai.com/codex/config-advanced/",
        ),
        files=(
            File(
                "mcp",
                _home(".codex/config.toml", ("CODEX_HOME", "config.toml")),
                "toml",
                (Put(("mcp_servers", NAME), {"url": "{mcp}", "http_headers": _BEARER}),),
            ),
            File(
                "models",
                _home(".codex/config.toml", ("CODEX_HOME", "config.toml")),
                "toml",
                (
                    Put(("model",), "{model}"),
                    Put(("model_provider",), NAME),
                    Put(
                        ("model_providers", NAME),
                        {
                            "name": "OmniRoute",
                            "base_url": "{v1}",
                            "wire_api": "responses",
                            "http_headers": _BEARER,
                        },
                    ),
                ),
            ),
        ),
    ),
    Client(
        id="gemini",
        name="Gemini CLI",
        command="gemini",
        sources=(
            "https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md",
            "https://github.com/google-gemini/gemini-cli/blob/main/docs/reference/configuration.md",
        ),
        files=(
            File(
                "mcp",
                _home(".gemini/settings.json", ("GEMINI_CLI_HOME", ".gemini/settings.json")),
                "jsonc",
                (Put(("mcpServers", NAME), {"httpUrl": "{mcp}", "headers": _BEARER}),),
            ),
            File(
                "models",
                _home(".gemini/.env", ("GEMINI_CLI_HOME", ".gemini/.env")),
                "env",
                (
                    Put(("GOOGLE_GEMINI_BASE_URL",), "{url}"),
                    Put(("GEMINI_API_KEY",), "{any_key}"),
                    Put(("GEMINI_MODEL",), "{model}"),
                ),
            ),
        ),
        note="In Gemini CLI choose the API key with /auth.",
    ),
    Client(
        id="zed",
        name="Zed",
        command="zed",
        sources=(
            "https://zed.dev/docs/ai/mcp",
            "https://zed.dev/docs/ai/llm-providers",
            "https://zed.dev/docs/configuring-zed",
        ),
        files=_both(
            _ZED,
            "jsonc",
            Put(("context_servers", NAME), _REMOTE),
            Put(
                ("language_models", "openai_compatible", "OmniRoute"),
                {
                    "api_url": "{v1}",
                    "available_models": [
                        {
                            "name": "{some_model}",
                            "display_name": "OmniRoute {some_model}",
                            "max_tokens": 200_000,
                        }
                    ],
                },
            ),
        ),
        note="Zed takes the key of the models from OMNIROUTE_API_KEY, or asks for it once.",
    ),
    Client(
        id="continue",
        name="Continue",
        sources=("https://docs.continue.dev/reference",),
        files=_both(
            _home(".continue/config.yaml", ("CONTINUE_GLOBAL_DIR", "config.yaml")),
            "yaml",
            Put(
                ("mcpServers", Item("OmniRoute")),
                {
                    "name": "OmniRoute",
                    "type": "streamable-http",
                    "url": "{mcp}",
                    "requestOptions": {"headers": _BEARER},
                },
            ),
            Put(
                ("models", Item("OmniRoute")),
                {
                    "name": "OmniRoute",
                    "provider": "openai",
                    "model": "{some_model}",
                    "apiBase": "{v1}",
                    "apiKey": "{any_key}",
                    "roles": ["chat", "edit", "apply"],
                },
            ),
            new="name: Local Assistant\nversion: 1.0.0\nschema: v1\n",
        ),
    ),
    Client(
        id="opencode",
        name="opencode",
        command="opencode",
        sources=(
            "https://opencode.ai/docs/config/",
            "https://opencode.ai/docs/mcp-servers/",
            "https://opencode.ai/docs/providers/",
        ),
        files=_both(
            _OPENCODE,
            "jsonc",
            Put(("mcp", NAME), {"type": "remote", "enabled": True, **_REMOTE}),
            Put(
                ("provider", NAME),
                {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "OmniRoute",
                    "options": {"baseURL": "{v1}", "apiKey": "{any_key}"},
                    "models": {"{some_model}": {"name": "OmniRoute {some_model}"}},
                },
            ),
            new='{\n  "$schema": "https://opencode.ai/config.json"\n}\n',
        ),
        note="Choose the model with /models.",
    ),
)
"""Every client, those that most people have first."""
