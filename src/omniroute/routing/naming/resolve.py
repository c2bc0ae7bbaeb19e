"""What a model string means: a combo, one model of one provider, or `auto`. Source: 01 §3."""

from collections.abc import Iterable
from unicodedata import category

from msgspec import Struct

from omniroute.catalog.models import known_models, providers_by_model
from omniroute.catalog.names import did_you_mean, nearest
from omniroute.catalog.spellings import SPELLINGS
from omniroute.errors import AmbiguousModel, InvalidRequest, UnknownModel
from omniroute.routing.naming.patterns import alias_target, matches
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Combo

MAX_MODEL_LENGTH = 200
EXTENDED_CONTEXT = "[1m]"
AUTO = "auto"
AUTO_VARIANTS = ("coding", "fast", "cheap", "offline", "smart", "lkgp")
_FAMILIES = (("claude-", "anthropic"), ("gemini-", "gemini"), ("gemma-", "gemini"))
"""Whose a bare name is by its beginning, when catalogues do not settle it."""


class SingleModel(Struct, frozen=True):
    """One model of one provider. `extended_context` asks for the 1M-token window."""

    provider: str
    model: str
    extended_context: bool = False


class NamedCombo(Struct, frozen=True):
    """A stored combo."""

    combo: Combo


class AutoRoute(Struct, frozen=True):
    """Whatever active account fits: a combo made on the spot. `variant` is a scoring profile."""

    variant: str | None = None


Resolution = SingleModel | NamedCombo | AutoRoute


def checked_name(model: str) -> str:
    """The trimmed model string.

    Raises:
        InvalidRequest: it is empty, over 200 characters, or holds what no model name holds.
    """
    name = model.strip()
    if not name:
        raise InvalidRequest("The field 'model' is required.", param="model")
    traverses = "../" in name or "..\\" in name
    if len(name) > MAX_MODEL_LENGTH or traverses or any(category(char) == "Cc" for char in name):
        raise InvalidRequest(
            "'model' must be 1 to 200 characters without control characters or path steps.",
            param="model",
        )
    return name


def resolve(model: str, snapshot: Snapshot) -> Resolution:
    """Decide what `model` names.

    Raises:
        InvalidRequest: the string is not a model name, or auto routing is switched off.
        UnknownModel: no provider of that prefix exists.
        AmbiguousModel: several providers list the bare name.
    """
    name = checked_name(model)
    is_auto = name == AUTO or name.startswith("auto/")
    if is_auto and not snapshot.settings["autoRoutingEnabled"]:
        raise InvalidRequest(
            "Auto routing is switched off (setting autoRoutingEnabled). "
            "Name a model or a combo instead.",
            param="model",
        )
    combo = _combo(name, snapshot) or _combo(name.removeprefix("combo/"), snapshot)
    combo = combo or _mapped(name, snapshot)
    if combo is not None:
        return NamedCombo(combo)
    if is_auto:
        return _auto(name, snapshot)
    extended = name.endswith(EXTENDED_CONTEXT)
    name = name.removesuffix(EXTENDED_CONTEXT)
    provider, model = _prefixed(name, snapshot) if "/" in name else _named(name, snapshot)
    renamed = snapshot.providers[provider].renames.get(model, model)
    return SingleModel(provider, renamed, extended)


def _combo(name: str, snapshot: Snapshot) -> Combo | None:
    combo = snapshot.combos.get(name)
    return combo if combo is not None and combo.is_active and combo.steps else None


def _mapped(name: str, snapshot: Snapshot) -> Combo | None:
    """The first combo a mapping sends this name to."""
    for row in snapshot.mappings:
        named = snapshot.combos_by_id.get(row.combo_id)
        if named is not None and matches(row.pattern, name):
            combo = _combo(named.name, snapshot)
            if combo is not None:
                return combo
    return None


def _auto(name: str, snapshot: Snapshot) -> Resolution:
    variant = name.partition("/")[2]
    if not variant:
        variant = snapshot.settings["autoRoutingDefaultVariant"]
        return AutoRoute(variant or None)
    best = _combo(f"auto/best-{variant}", snapshot)
    if best is not None:
        return NamedCombo(best)
    if variant in AUTO_VARIANTS:
        return AutoRoute(variant)
    known = [f"auto/{one}" for one in AUTO_VARIANTS]
    stored = sorted(combo for combo in snapshot.combos if combo.startswith("auto/"))
    raise UnknownModel(
        f"There is no auto route '{name}'. Write 'auto', or one of: "
        f"{', '.join([*known, *stored])}.",
        param="model",
    )


def _prefixed(name: str, snapshot: Snapshot) -> tuple[str, str]:
    prefix, rest = name.split("/", 1)
    provider = snapshot.provider_named(prefix)
    if provider is not None and provider in snapshot.nodes:
        return provider, rest
    if snapshot.settings["stripModelPrefix"]:
        return _bare(rest, snapshot)
    listed = providers_by_model().get(name)
    if provider is None:
        if listed:
            return _bare(name, snapshot)
        meant = nearest(prefix, snapshot.prefixes)
        hint = f" Did you mean '{meant}/{rest}'?" if meant else suggest_model(name, snapshot)
        raise UnknownModel(
            f"No provider, node or combo is called '{prefix}' (in '{name}').{hint} "
            "GET /v1/models lists what can be asked for.",
            param="model",
        )
    if listed and provider not in listed and not _lists(provider, rest):
        # Somebody else's id that happens to begin like a provider, unless only that provider
        # could answer: its newest models are in others' lists before they are in its own.
        usable = any(one in snapshot.accounts for one in listed)
        if usable or provider not in snapshot.accounts:
            return _bare(name, snapshot)
    return provider, _spelled(provider, rest, snapshot)


def _spelled(provider: str, model: str, snapshot: Snapshot) -> str:
    """The model as its provider spells it, where only that spelling is listed."""
    other = SPELLINGS.get(model) if snapshot.spellings else None
    if other is None or _lists(provider, model) or not _lists(provider, other):
        return model
    return other


def _lists(provider: str, model: str) -> bool:
    return any(known.id == model for known in known_models(provider))


def _named(name: str, snapshot: Snapshot) -> tuple[str, str]:
    """What a name without a prefix stands for: an alias first, then the catalogues."""
    target = alias_target(name, snapshot.aliases)
    if target is None:
        return _bare(name, snapshot)
    if "/" not in target:
        return _bare(target, snapshot)
    prefix, model = target.split("/", 1)
    provider = snapshot.provider_named(prefix)
    if provider is None:
        raise UnknownModel(
            f"The alias '{name}' stands for '{target}', but no provider or node is called "
            f"'{prefix}'. Change the alias (PUT /api/models/alias).",
            param="model",
        )
    return provider, model


def _bare(name: str, snapshot: Snapshot) -> tuple[str, str]:
    serving = snapshot.serving(name)
    listed = providers_by_model().get(name, ())
    if snapshot.spellings and name in SPELLINGS and not (listed or serving):
        return _bare(SPELLINGS[name], snapshot)
    if "openai" in listed:
        return "openai", name
    if len(listed) == 1:
        return listed[0], name
    family = next((owner for start, owner in _FAMILIES if name.startswith(start)), None)
    if family in listed:
        return family, name
    candidates = [provider for provider in listed if provider in snapshot.accounts] or serving
    if len(candidates) == 1:
        return candidates[0], name
    several = candidates or listed
    if several:
        written = [f"'{snapshot.written(one, name)}'" for one in several[:2]]
        raise AmbiguousModel(
            f"Several providers list '{name}'. Write {' or '.join(written)}.",
            code="ambiguous_model",
            param="model",
            providers=several,
        )
    return family or "openai", name


def _suggestions(snapshot: Snapshot) -> Iterable[str]:
    yield from snapshot.combos
    for provider, accounts in snapshot.accounts.items():
        for account in accounts:
            for model in snapshot.models(account):
                yield snapshot.written(provider, model)


def suggest_model(name: str, snapshot: Snapshot) -> str:
    """A "did you mean" sentence over every model that can be asked for right now, or nothing."""
    known = list(_suggestions(snapshot))
    bare = {entry.split("/", 1)[-1]: entry for entry in reversed(known)}
    return did_you_mean(name, [*known, *bare])
