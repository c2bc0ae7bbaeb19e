"""Which models a key may ask for."""

import fnmatch
from collections.abc import Sequence

from omniroute.errors import Forbidden
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Branch, Node, RouteFacts


def model_allowed(entries: Sequence[str], names: Sequence[str]) -> bool:
    """Whether any of `names` passes a key's `allowedModels` (empty list: everything does).

    An entry is a name, `prefix/*` for all that begins so, or has `*` for any run of characters:
    of one segment where it has segments, of the whole name where it has none.
    """
    return not entries or any(_passes(entry, name) for entry in entries for name in names)


def _passes(entry: str, name: str) -> bool:
    if name == entry or (entry.endswith("/*") and name.startswith(entry[:-1])):
        return True
    if "*" not in entry:
        return False
    patterns = entry.split("/")
    segments = name.split("/") if len(patterns) > 1 else [name]
    return len(patterns) == len(segments) and all(
        fnmatch.fnmatchcase(segment, _only_stars(pattern))
        for pattern, segment in zip(patterns, segments, strict=True)
    )


def require_permission(facts: RouteFacts, name: str, root: Node, snapshot: Snapshot) -> None:
    """Refuse a model the caller's key is not for.

    Raises:
        Forbidden: neither the name asked for nor what it stands for is allowed.
    """
    if isinstance(root, Branch):
        spellings = [name, root.combo]
    else:
        prefixes = (root.provider, *snapshot.providers[root.provider].names)
        spellings = [name, *(f"{prefix}/{root.model}" for prefix in prefixes)]
    if not model_allowed(facts.allowed_models, spellings):
        raise Forbidden(f"This API key may not use the model '{name}'.", param="model")


def _only_stars(entry: str) -> str:
    """`entry` as a pattern in which nothing but `*` is special."""
    return entry.replace("[", "[[]").replace("?", "[?]")
