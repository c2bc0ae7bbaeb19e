"""Lists of models as upstreams write them, whatever the dialect."""

from collections.abc import Iterator

import msgspec


def listed_models(body: bytes) -> tuple[tuple[str, ...], str | None]:
    """The model ids of a list, and the token of its next page.

    Reads OpenAI's and Anthropic's `data`, Gemini's and Ollama's `models`, and a bare array.

    Raises:
        ValueError: it is none of these.
    """
    found = msgspec.json.decode(body)
    rows = found
    token = None
    if isinstance(found, dict):
        rows = found.get("data", found.get("models"))
        token = found.get("nextPageToken")
    if not isinstance(rows, list):
        raise ValueError("not a list of models")  # noqa: TRY004 - of the upstream, not of ours
    ids = dict.fromkeys(_ids(rows))
    return tuple(ids), token if isinstance(token, str) and token else None


def _ids(rows: list[object]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, str):
            yield row
        elif isinstance(row, dict):
            named = row.get("id") or row.get("name") or row.get("model")
            if isinstance(named, str):
                yield named.removeprefix("models/")
