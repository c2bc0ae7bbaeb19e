"""What is left of accounts' quotas: as reported, as seen in headers, as learned from refusals.

Source: 05 §5.4. A window that nobody reported is absent, never guessed.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from omniroute.catalog.quota_report import QuotaReport, length_ms, plain
from omniroute.routing.quotas.rules import NO_RULES, QuotaRules, goes_by
from omniroute.routing.resilience.retry_hints import header_delay_ms
from omniroute.routing.targets import Quota

FRESH_MS = 5 * 60_000
"""How long headers and refusals count that named no time."""

PREFLIGHT_MS = 60_000
"""How old a report may be when it decides whether an account is used."""

KEPT_MS = 24 * 3_600_000
"""How long a report without a reset counts while nobody can be asked again."""

WANTED_MS = 3_600_000
"""How long after a request that went by quotas they are kept up to date for the next."""

_SESSION = ("5h", "session", "five hour")
_WEEK = ("7d", "weekly", "week", "seven day")
_HEADERS = (
    ("x-ratelimit-limit-{0}", "x-ratelimit-remaining-{0}", "x-ratelimit-reset-{0}"),
    (
        "anthropic-ratelimit-{0}-limit",
        "anthropic-ratelimit-{0}-remaining",
        "anthropic-ratelimit-{0}-reset",
    ),
)
_COUNTED = ("requests", "tokens", "input-tokens", "output-tokens")


class Window(Struct, frozen=True, kw_only=True):
    """One window of a quota. `used` is a share (0-1); it counts until `until_ms` (epoch).

    `plain` is its name as names are compared, `length_ms` how long it runs if its name says so.
    """

    plain: str
    used: float
    until_ms: int
    reset_at_ms: int | None = None
    length_ms: int | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """What an account's provider said last, and when it was asked last. Times are epoch ms.

    `problem` is why the latest question was not answered; an earlier report stays. `tier` is what
    kind of account its plan makes it.
    """

    report: QuotaReport | None = None
    reported_at_ms: int = 0
    asked_at_ms: int = 0
    problem: str | None = None
    windows: Mapping[str, Window] = {}
    tier: str | None = None


UNASKED = Standing()


class Quotas:
    """What is known of each account, in memory. All methods are synchronous.

    Args:
        now_ms: the injected clock, epoch milliseconds.
        rules: what its operator wants done about an account's quota.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        rules: Callable[[str], QuotaRules] = lambda _account: NO_RULES,
    ) -> None:
        self._now_ms = now_ms
        self._rules = rules
        self._standings: dict[str, Standing] = {}
        self._learned: dict[str, dict[str, Window]] = {}
        self._empty_until_ms: dict[str, int] = {}
        self._wanted_at_ms: dict[str, int] = {}

    def report(self, connection: str, report: QuotaReport, at_ms: int | None = None) -> None:
        """An account's provider reports, now or (after a restart) at an earlier time."""
        at = self._now_ms() if at_ms is None else at_ms
        self._standings[connection] = Standing(
            report=report,
            reported_at_ms=at,
            asked_at_ms=at,
            windows={
                name: _reported(name, at, row.left, row.reset_at_ms)
                for name, row in report.windows.items()
            },
            tier=report.tier,
        )
        if not report.exhausted:
            self._empty_until_ms.pop(connection, None)

    def unanswered(self, connection: str, problem: str) -> None:
        """An account's provider was asked and did not report; what it said before stays."""
        old = self._standings.get(connection, UNASKED)
        self._standings[connection] = replace(old, asked_at_ms=self._now_ms(), problem=problem)

    def learn(self, connection: str, headers: Mapping[str, str]) -> None:
        """Take in what the headers of an answer say about limits."""
        now = self._now_ms()
        for counted in _COUNTED:
            for names in _HEADERS:
                limit, left, reset = (headers.get(name.format(counted)) for name in names)
                share = _share(limit, left)
                if share is None:
                    continue
                delay_ms = header_delay_ms(reset, now)
                reset_ms = None if delay_ms is None else now + delay_ms
                self._learned.setdefault(connection, {})[counted] = Window(
                    plain=counted,
                    used=_used(share),
                    until_ms=now + FRESH_MS if reset_ms is None else reset_ms,
                    reset_at_ms=reset_ms,
                )

    def exhausted(self, connection: str, until_ms: int | None = None) -> None:
        """An account refused because its quota is used up."""
        now = self._now_ms()
        self._empty_until_ms[connection] = now + FRESH_MS if until_ms is None else until_ms

    def of(self, connection: str) -> Quota | None:
        """What is known right now; None for nothing."""
        if not self._known(connection):
            return None
        windows = self._current(connection)
        empty = self._empty_until_ms.get(connection, 0) > self._now_ms()
        standing = self._standings.get(connection, UNASKED)
        refused = self._used_up(standing) is not None
        if not (windows or empty or refused or standing.tier):
            return None
        session, week = _first(windows, _SESSION), _first(windows, _WEEK)
        lengths = (row.length_ms for row in windows.values() if row.length_ms is not None)
        return Quota(
            used=max((row.used for row in windows.values()), default=None),
            used_5h=session.used if session else None,
            used_7d=week.used if week else None,
            reset_5h_ms=session.reset_at_ms if session else None,
            reset_7d_ms=week.reset_at_ms if week else None,
            interval_ms=min(lengths, default=None),
            tier=standing.tier,
            exhausted=empty
            or refused
            or (bool(windows) and all(row.used >= 1 for row in windows.values())),
        )

    def held(self, connection: str) -> tuple[str, int | None] | None:
        """Why an account is left alone for its quota, and until when (epoch ms)."""
        if not self._known(connection):
            return None
        rules = self._rules(connection)
        return self._over_limit(connection, rules) or self._cut_off(connection, rules)

    def remark(self, connection: str) -> str | None:
        """What a plan should say about the quota of an account that may be used."""
        standing = self._standings.get(connection)
        rules = self._rules(connection) if standing is not None else NO_RULES
        if standing is None or not rules.preflight:
            return None
        if standing.problem is not None:
            return f"its quota is not known and was not looked at: {standing.problem}"
        low = [
            (_left_percent(row), name)
            for name, row in self._holding(standing).items()
            if _left_percent(row) <= max(rules.warn, rules.cutoff_of(row.plain) + 1)
        ]
        return f"{min(low)[0]:g} % of its quota '{min(low)[1]}' is left" if low else None

    def standing(self, connection: str) -> Standing:
        """What an account's provider said last."""
        return self._standings.get(connection, UNASKED)

    def reported(self, connection: str) -> dict[str, Window]:
        """The windows an account's provider reported, as far as they still say something."""
        return self._holding(self.standing(connection))

    def tightest(self, connection: str) -> tuple[str, Window] | None:
        """The fullest window that is known of an account, by name."""
        windows = self._current(connection)
        name = max(windows, key=lambda one: windows[one].used, default=None)
        return None if name is None else (name, windows[name])

    def preflight_due(self, connection: str) -> bool:
        """Whether an account has to be asked before a plan goes by what is left of it."""
        if not self._rules(connection).preflight:
            return False
        return self._now_ms() - self.standing(connection).asked_at_ms >= PREFLIGHT_MS

    def want(self, connections: Iterable[str]) -> None:
        """A request goes by the quotas of these accounts."""
        now = self._now_ms()
        self._wanted_at_ms.update((one, now) for one in connections)

    def refresh_due(self, connection: str, age_ms: int) -> bool:
        """Whether somebody needs to know of an account and knows only what is older than that."""
        rules, now = self._rules(connection), self._now_ms()
        if rules.shape is None:
            return False
        standing = self.standing(connection)
        wanted = now - self._wanted_at_ms.get(connection, -WANTED_MS) < WANTED_MS
        spent = standing.report is not None and standing.report.exhausted
        ruled = rules.preflight or rules.monitored or bool(rules.limit_windows)
        needed = ruled or wanted or spent
        return needed and now - standing.asked_at_ms >= age_ms

    def forget(self, connection: str) -> None:
        """A credential changed: nothing is known of it."""
        self._standings.pop(connection, None)
        self._learned.pop(connection, None)
        self._empty_until_ms.pop(connection, None)
        self._wanted_at_ms.pop(connection, None)

    def _over_limit(self, connection: str, rules: QuotaRules) -> tuple[str, int | None] | None:
        if not rules.limit_windows:
            return None
        windows = self._current(connection)
        for name in rules.limit_windows:
            row = _first(windows, (name,))
            if row is not None and row.used >= rules.limit_used:
                return "quota_policy", row.reset_at_ms
        return None

    def _cut_off(self, connection: str, rules: QuotaRules) -> tuple[str, int | None] | None:
        standing = self._standings.get(connection)
        if standing is None or standing.problem is not None:
            return None
        spent_until_ms = self._used_up(standing)
        if spent_until_ms is not None:
            return "quota_exhausted", spent_until_ms
        if not rules.preflight:
            return None
        over = [
            row
            for row in self._holding(standing).values()
            if _left_percent(row) <= rules.cutoff_of(row.plain)
        ]
        if not over:
            return None
        worst = max(over, key=lambda row: row.used)
        return "quota_preflight", worst.reset_at_ms or self._now_ms() + FRESH_MS

    def _used_up(self, standing: Standing) -> int | None:
        """Until when (epoch ms) nothing is left of an account by its provider's own word."""
        report, now = standing.report, self._now_ms()
        if report is None or not report.exhausted:
            return None
        ends = [row.until_ms for row in standing.windows.values() if row.used >= 1]
        until_ms = min(ends) if report.available and ends else standing.reported_at_ms + FRESH_MS
        return until_ms if until_ms > now else None

    def _known(self, connection: str) -> bool:
        return (
            connection in self._standings
            or connection in self._learned
            or connection in self._empty_until_ms
        )

    def _holding(self, standing: Standing) -> dict[str, Window]:
        now = self._now_ms()
        return {name: row for name, row in standing.windows.items() if now < row.until_ms}

    def _current(self, connection: str) -> dict[str, Window]:
        now = self._now_ms()
        learned = self._learned.get(connection, {})
        held = {name: row for name, row in learned.items() if now < row.until_ms}
        return {**held, **self._holding(self._standings.get(connection, UNASKED))}


def _reported(name: str, at_ms: int, left: float | None, reset_at_ms: int | None) -> Window:
    """A window without an end of its own has all of it left."""
    used = 0.0 if left is None else _used(left)
    lasts_ms = FRESH_MS if used >= 1 else KEPT_MS
    return Window(
        plain=plain(name),
        used=used,
        until_ms=at_ms + lasts_ms if reset_at_ms is None else reset_at_ms,
        reset_at_ms=reset_at_ms,
        length_ms=length_ms(name),
    )


def _first(windows: Mapping[str, Window], names: Iterable[str]) -> Window | None:
    """The window with one of these names, exact or as its beginning: `weekly (7d)` is `weekly`."""
    for name in names:
        for row in windows.values():
            if goes_by(row.plain, name):
                return row
    return None


def _share(limit: str | None, left: str | None) -> float | None:
    try:
        whole, rest = float(limit or ""), float(left or "")
    except ValueError:
        return None
    return rest / whole if whole > 0 and rest >= 0 else None


def _used(left: float) -> float:
    return round(1 - min(1.0, max(0.0, left)), 6)


def _left_percent(row: Window) -> float:
    return round(100 * (1 - row.used), 4)
