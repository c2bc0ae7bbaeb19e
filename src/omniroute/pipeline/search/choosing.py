"""Which accounts may be asked for a search, in which order, and what is said when none may."""

from collections.abc import Sequence

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.catalog.provider import Provider
from omniroute.catalog.providers import PROVIDERS
from omniroute.catalog.search_apis import Filter
from omniroute.dialects.search.asked import SearchQuestion
from omniroute.errors import InvalidRequest, NoCredentials, TargetsUnavailable
from omniroute.pipeline.search.asking import Searcher, api_of
from omniroute.routing.resilience.health import HealthView
from omniroute.routing.snapshot import Snapshot

SEARCH_PROVIDERS = tuple(row for row in PROVIDERS.values() if row.search is not None)
SUFFIX = "-search"
HOW_TO = (
    "Add one with 'omniroute providers add brave-search' or POST /api/providers; "
    "GET /v1/search lists the providers there are."
)


def named_provider(name: str) -> Provider:
    """A search provider by its id, with or without `-search`.

    Raises:
        InvalidRequest: there is none; names the nearest.
    """
    known = {row.id: row for row in SEARCH_PROVIDERS}
    found = known.get(name) or known.get(name + SUFFIX)
    if found is None:
        hint = did_you_mean(name, known)
        raise InvalidRequest(
            f"There is no search provider '{name}'.{hint} They are: {', '.join(known)}.",
            param="provider",
        )
    return found


def searchers(
    snapshot: Snapshot,
    view: HealthView,
    caller: Caller,
    asked: SearchQuestion,
    provider: str | None,
    *,
    strict: bool,
) -> list[Searcher]:
    """The accounts to try, best first: by priority, then by price.

    Args:
        provider: the only one that may be asked; None for any that fits.
        strict: whether a provider must keep to every filter that is set.

    Raises:
        InvalidRequest: the provider cannot do what is asked.
        NoCredentials: nothing that fits is configured.
        TargetsUnavailable: everything that fits is resting after failures.
    """
    rows = [named_provider(provider)] if provider else list(SEARCH_PROVIDERS)
    able = [row for row in rows if not _problem(row, asked, strict=strict)]
    if provider and not able:
        raise InvalidRequest(str(_problem(rows[0], asked, strict=strict)))
    found = [
        Searcher(row, account)
        for row in able
        for account in snapshot.searchers.get(row.id, ())
        if (provider or not api_of(row).named_only)
        and (not caller.allowed_connections or account.id in caller.allowed_connections)
    ]
    if not found:
        raise NoCredentials(_nothing(rows[0] if provider else None, asked))
    usable = [one for one in found if view.blocked(*one.place) is None]
    if not usable:
        raise _resting(found, view)
    return sorted(usable, key=_rank)


def _rank(one: Searcher) -> tuple[int, int, int, str]:
    account = one.account
    price = api_of(one.provider).micro_usd
    return account.global_priority or 100, account.priority, price, one.provider.id


def _problem(row: Provider, asked: SearchQuestion, *, strict: bool) -> str | None:
    api = api_of(row)
    if asked.kind not in api.paths:
        return f"{row.id} has no {asked.kind} search; leave the provider out, or name another."
    unknown = [name for name in asked.options if name not in api.options]
    if unknown:
        hint = did_you_mean(unknown[0], api.options)
        takes = ", ".join(api.options) or "none"
        return f"{row.id} takes no option '{unknown[0]}'.{hint} Options a caller may set: {takes}."
    missed = [name for name in _filters(asked) if name not in api.filters] if strict else []
    if missed:
        return (
            f"{row.id} cannot keep to {missed[0]}; leave it or strict_filters out, or ask another."
        )
    return None


def _filters(asked: SearchQuestion) -> list[Filter]:
    """What a question insists on."""
    every: Sequence[Filter] = (
        "offset",
        "country",
        "language",
        "time_range",
        "include_domains",
        "exclude_domains",
        "safe_search",
        "full_page",
    )
    return [name for name in every if getattr(asked, name)]


def _nothing(row: Provider | None, asked: SearchQuestion) -> str:
    if row is None:
        return f"No provider of {asked.kind} search is configured. {HOW_TO}"
    return (
        f"No account of {row.id} is configured, or this API key may not use it. Add one with "
        f"'omniroute providers add {row.id}' or POST /api/providers."
    )


def _resting(found: Sequence[Searcher], view: HealthView) -> TargetsUnavailable:
    told, untils = [], []
    for one in found:
        reason, until_ms = view.blocked(*one.place) or ("", None)
        told.append(f"{one.provider.id} ({one.account.name}): {reason}")
        untils += [until_ms] if until_ms is not None else []
    wait_s = -(-(min(untils) - view.now_ms) // 1000) if untils else None
    return TargetsUnavailable(
        f"Every search account is resting after failures: {'; '.join(told)}.",
        retry_after_s=wait_s,
    )
