"""Tools about combos: what they are, how they do, and what may be changed of them."""

from omniroute.operations.combos.combo_choice import (
    ChoiceQuery,
    ComboChoice,
    best_combo_for_task,
)
from omniroute.operations.combos.combo_listing import CombosList, CombosQuery, list_combos
from omniroute.operations.combos.combo_report import ComboQuery, ComboReport, combo_report
from omniroute.operations.combos.combo_switches import (
    StrategyQuery,
    StrategySet,
    Switched,
    SwitchQuery,
    set_routing_strategy,
    switch_combo,
)
from omniroute.operations.combos.combo_trial import Trial, TrialQuery, try_combo
from omniroute_mcp.tools.row import ADVANCED_S, ToolRow, plain

TOOLS = (
    ToolRow(
        number=2,
        name="omniroute_list_combos",
        title="Combos",
        description=(
            "The configured model chains with their targets in order. Call it first to learn ids "
            "and names; with includeMetrics it adds what was measured in the last 24 hours."
        ),
        params=CombosQuery,
        result=CombosList,
        scopes=frozenset({"read:combos"}),
        phase=1,
        audit="basic",
        call=plain(list_combos),
        source_endpoints=("/api/combos", "/api/combos/metrics"),
    ),
    ToolRow(
        number=3,
        name="omniroute_get_combo_metrics",
        title="How a combo does",
        description=(
            "Requests, success rate, latency, cost and fallbacks of one combo, in all and by "
            "provider. Use it to judge a combo, or to see which of its providers fails."
        ),
        params=ComboQuery,
        result=ComboReport,
        scopes=frozenset({"read:combos"}),
        phase=1,
        audit="basic",
        call=plain(combo_report),
        source_endpoints=("/api/combos/metrics",),
    ),
    ToolRow(
        number=4,
        name="omniroute_switch_combo",
        title="Switch a combo on or off",
        description=(
            "Have a combo answer requests, or not any more. It holds from the next request on and "
            "for everybody; returns the combo as it is now."
        ),
        params=SwitchQuery,
        result=Switched,
        scopes=frozenset({"write:combos"}),
        phase=1,
        audit="full",
        call=plain(switch_combo),
        source_endpoints=("/api/combos/{id}",),
        writes=True,
    ),
    ToolRow(
        number=12,
        name="omniroute_set_routing_strategy",
        title="Change a combo's strategy",
        description=(
            "Change how a combo chooses among its targets: in order, by price, by load, scored "
            "('auto') and so on. It holds from the next request on; returns the combo as it is now."
        ),
        params=StrategyQuery,
        result=StrategySet,
        scopes=frozenset({"write:combos"}),
        phase=2,
        audit="full",
        call=plain(set_routing_strategy),
        source_endpoints=("/api/combos/{id}",),
        writes=True,
        time_limit_s=ADVANCED_S,
    ),
    ToolRow(
        number=14,
        name="omniroute_test_combo",
        title="Try a combo",
        description=(
            "Send a short prompt to every step of a combo at once and see which answer, how fast "
            "and for how much. It asks real providers and spends real money."
        ),
        params=TrialQuery,
        result=Trial,
        scopes=frozenset({"execute:completions", "read:combos"}),
        phase=2,
        audit="full",
        call=try_combo,
        source_endpoints=("/api/combos/test",),
        writes=True,
        idempotent=False,
        open_world=True,
        time_limit_s=ADVANCED_S,
        may_take_long=True,
        hashed=lambda arguments: {"comboId": arguments.get("comboId")},
    ),
    ToolRow(
        number=16,
        name="omniroute_best_combo_for_task",
        title="The best combo for a task",
        description=(
            "Recommend a combo for a kind of task, within a cost and a latency if they are given. "
            "Returns the best with the reason, up to three others, and a free one if there is one."
        ),
        params=ChoiceQuery,
        result=ComboChoice,
        scopes=frozenset({"read:combos", "read:health"}),
        phase=2,
        audit="basic",
        call=plain(best_combo_for_task),
        source_endpoints=("/api/combos", "/api/combos/metrics"),
        time_limit_s=ADVANCED_S,
    ),
)
