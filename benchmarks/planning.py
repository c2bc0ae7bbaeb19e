"""What a plan costs: by candidates of one request, and by how much is configured in all.

make bench-planning                  measure and write docs/benchmarks-planning.md
make bench-planning ARGS=--dry-run   measure and only print
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from omniroute.routing.live import Live
from omniroute.routing.plan import plan
from omniroute.routing.resilience.health import Health
from omniroute.routing.snapshot import Snapshot, build_snapshot
from omniroute.routing.targets import RouteFacts
from omniroute.storage.records.configuration import (
    ApiKey,
    Combo,
    Connection,
    ModelStep,
    ProviderNode,
)

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks-planning.md"
SIZES = (10, 1_000, 10_000)
CANDIDATES = (1, 4, 16, 64, 256)
STRATEGIES = ("priority", "weighted", "p2c", "cost-optimized", "auto")
ROUNDS = 7
NOW_MS = 1_800_000_000_000
BASE = 10


def say(text: str) -> None:
    """Progress, so that nobody wonders."""
    sys.stderr.write(f"{text}\n")


def world(size: int, candidates: int = BASE) -> Snapshot:
    """`size` nodes with an account each, `size` combos and keys; `asked-*` have `candidates`."""
    most = max(size, candidates)
    nodes = [
        ProviderNode(
            id=f"node{at}",
            type="openai-compatible",
            name=f"Node {at}",
            prefix=f"n{at}",
            base_url=f"http://n{at}.test/v1",
            api_type="chat",
        )
        for at in range(most)
    ]
    accounts = [
        Connection(id=f"account{at}", provider=f"node{at}", name=f"a{at}", api_key="k")
        for at in range(most)
    ]
    others = [
        Combo(id=f"c{at}", name=f"combo{at}", steps=(ModelStep(id="s", model=f"n{at}/m"),))
        for at in range(size)
    ]
    steps = tuple(ModelStep(id=f"s{at}", model=f"n{at}/m", weight=1) for at in range(candidates))
    asked = [
        Combo(id=f"asked-{name}", name=f"asked-{name}", strategy=name, steps=steps)
        for name in STRATEGIES
    ]
    keys = [
        ApiKey(id=f"k{at}", name="k", key_hash=f"h{at}", prefix="p", suffix="s", machine_id="m")
        for at in range(size)
    ]
    return build_snapshot(
        version=1,
        nodes=nodes,
        connections=accounts,
        combos=[*others, *asked],
        keys=keys,
        settings={},
    )


def microseconds(work: Callable[[], object]) -> float:
    """The median cost of one call, over rounds of about 20 ms each."""
    work()
    start = time.perf_counter()
    work()
    calls = max(3, int(0.02 / max(time.perf_counter() - start, 1e-6)))
    costs = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        costs.append((time.perf_counter() - start) / calls)
    return statistics.median(costs) * 1e6


def cost(snapshot: Snapshot, model: str) -> float:
    """One plan, in microseconds."""
    live = Live.fresh(lambda: NOW_MS, Health(lambda: NOW_MS))
    facts = RouteFacts(model=model)
    return microseconds(lambda: plan(facts, snapshot, live.world(), 7))


def by_size() -> list[str]:
    """Ratios to the smallest configuration, for a combo of ten targets and for one model."""
    rows = ["| Asked for | " + " | ".join(f"{size:,} of each" for size in SIZES) + " |"]
    rows.append("|---|" + "---:|" * len(SIZES))
    worlds = {size: world(size) for size in SIZES}
    for model in ("n1/m", *(f"asked-{name}" for name in STRATEGIES)):
        say(f"{model} by size of the configuration")
        costs = [cost(worlds[size], model) for size in SIZES]
        label = "one model" if model == "n1/m" else f"combo of {BASE}, {model[6:]}"
        rows.append(f"| {label} | " + " | ".join(f"{one / costs[0]:.2f}" for one in costs) + " |")
    return rows


def by_candidates() -> list[str]:
    """Cost per candidate, as ratios to the combo of four."""
    rows = ["| Strategy | " + " | ".join(f"{count}" for count in CANDIDATES) + " |"]
    rows.append("|---|" + "---:|" * len(CANDIDATES))
    worlds = {count: world(BASE, count) for count in CANDIDATES}
    for name in STRATEGIES:
        say(f"{name} by candidates")
        each = [cost(worlds[count], f"asked-{name}") / count for count in CANDIDATES]
        rows.append(f"| {name} | " + " | ".join(f"{one / each[1]:.2f}" for one in each) + " |")
    return rows


def main() -> None:
    """Measure everything, print it, and write the page."""
    page = "\n".join(
        [
            "# What a plan costs",
            "",
            "<!-- Written by `make bench-planning`. -->",
            "",
            (
                f"Measured on {platform.machine()}, Python {platform.python_version()}: medians of "
                f"{ROUNDS} rounds, as ratios within one run."
            ),
            "",
            "## It does not depend on how much is configured",
            "",
            (
                "So many nodes, accounts, combos and keys of each; cost of one plan against "
                f"that with {SIZES[0]} of each."
            ),
            "",
            *by_size(),
            "",
            "## It grows with the candidates of one request, no worse than linearly",
            "",
            (
                "Cost per candidate against that in a combo of 4. Below 1 is cheaper: the fixed "
                "part is shared."
            ),
            "",
            *by_candidates(),
            "",
        ]
    )
    print(page)
    if "--dry-run" not in sys.argv:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
