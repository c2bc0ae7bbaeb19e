"""Making a message fit for a client: one line, bounded, without paths or credentials.

Every scan here is linear in the text, which an upstream or an attacker may have written.
"""

import re

MAX_MESSAGE_CHARS = 4096

# Where a credential announces itself by its first characters.
CREDENTIAL_PREFIXES = (
    "sk-", "sk_", "pk-", "rk_", "ork_", "whsec_", "gsk_", "xai-", "hf_", "r8_", "nvapi-", "pplx-",
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-",
    "AIza", "ya29.", "AKIA", "ASIA",
)  # fmt: skip
_SHORTEST_CREDENTIAL = 12

SOURCE_EXTENSIONS = frozenset(
    {"py", "pyc", "pyi", "so", "ts", "tsx", "js", "jsx", "mjs", "cjs"},
)

_TRACEBACK = re.compile(r'File "[^"]*", line \d+')
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w\-.~+/=*]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[\w\-.~+*]+")
_TOKEN = re.compile(r"[^\s\"'`()<>\[\]{},;=|]+")
_LINE_NUMBERS = re.compile(r"(?::\d+){1,2}\Z")


def clean_message(text: str) -> str:
    """The first line of `text`, at most 4096 characters, safe to show.

    Absolute source paths become `<path>`, credentials `[redacted]`. Empty when nothing is left.
    """
    line = text[: MAX_MESSAGE_CHARS * 2].strip().partition("\n")[0].partition("\r")[0]
    line = redact_secrets(_TRACEBACK.sub("<path>", line[:MAX_MESSAGE_CHARS]))
    return _TOKEN.sub(_without_path, line).strip()[:MAX_MESSAGE_CHARS]


def redact_secrets(text: str) -> str:
    """`text` with every credential in it replaced by `[redacted]`."""
    return _WORD.sub(_redacted, _BEARER.sub(r"\1 [redacted]", text))


def _redacted(match: re.Match[str]) -> str:
    word = match.group()
    if len(word) < _SHORTEST_CREDENTIAL:
        return word
    is_jwt = word.startswith("eyJ") and word.count(".") == 2
    return "[redacted]" if is_jwt or word.startswith(CREDENTIAL_PREFIXES) else word


def _without_path(match: re.Match[str]) -> str:
    token = match.group()
    core = token.rstrip(".:!?")
    path = _LINE_NUMBERS.sub("", core).removeprefix("file://")
    absolute = path.startswith("/") or path[1:3] in (":\\", ":/")
    if absolute and path.rpartition(".")[2].lower() in SOURCE_EXTENSIONS:
        return "<path>" + token[len(core) :]
    return token
