"""`omniroute status` and `omniroute health`: how the gateway is."""

from typing import Any

from omniroute_app.cli.where import HERE, Where


def status(*, where: Where = HERE) -> None:
    """How the gateway is: where it runs, since when, and what it is busy with.

    Exit code 1 when it is not well, 2 when there is none.

    Example: omniroute status
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import facts, show

    asked = gateway(where)
    found = asked.get("/api/monitoring/health")

    def told() -> None:
        summary = found["providerSummary"]
        facts(
            (
                ("gateway", asked.url),
                ("status", found["status"]),
                ("version", found["version"]),
                ("up", _duration(found["uptime"])),
                ("storage", found["storage"]),
                ("providers", f"{summary['activeCount']} of {summary['catalogCount']} in use"),
                ("breakers open", found["circuitBreakers"]["open"]),
                ("sessions", found["sessions"]["activeCount"]),
                ("requests under way", found["dedup"]["inflightRequests"]),
            )
        )

    show({"url": asked.url, **found}, told, as_json=where.json)
    _end(found)


def health(*, where: Where = HERE) -> None:
    """Vital signs, and every breaker, cooldown and alert there is.

    Exit code 1 when the gateway is not well, 2 when there is none.

    Example: omniroute health --json
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, facts, show, table

    found = gateway(where).get("/api/monitoring/health")

    def told() -> None:
        breakers, quotas = found["circuitBreakers"], found["quotaMonitor"]
        facts(
            (
                ("status", found["status"]),
                ("storage", found["storage"]),
                ("memory", f"{found['memoryUsage']['rss'] // 1_048_576} MiB"),
                ("breakers", f"{breakers['open']} open, {breakers['halfOpen']} half open"),
                ("cooldowns", found["cooldownCount"]),
                ("locked out", len(found["lockouts"])),
                ("quotas exhausted", quotas["exhausted"]),
                ("reservations", found["ledger"]["openReservations"]),
            )
        )
        if found["providerBreakers"]:
            columns = (
                Column("PROVIDER", "provider"),
                Column("BREAKER", "state"),
                Column("FAILURES", "failureCount"),
            )
            table(found["providerBreakers"], columns)

    show(found, told, as_json=where.json)
    _end(found)


def _end(found: dict[str, Any]) -> None:
    if found["status"] not in ("healthy", "ok"):
        raise SystemExit(1)


def _duration(uptime_s: float) -> str:
    minutes, seconds = divmod(int(uptime_s), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
