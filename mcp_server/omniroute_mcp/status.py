"""Whether the door is in use, over which transport, and since when. 03 §6.1."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from omniroute.engine import Engine
from omniroute_mcp.heartbeat import (
    Heartbeat,
    heartbeat_path,
    is_alive,
    is_online,
    read_heartbeat,
    since_ms,
)
from omniroute_mcp.sessions import Sessions
from omniroute_mcp.transports import Name


@dataclass(frozen=True, slots=True)
class DoorStatus:
    """Reads the state of all transports.

    `on_stream` and `on_sse` are the Streamable HTTP sessions of the two paths, `event_streams`
    the opening times (epoch milliseconds) of the 2024-style streams.
    """

    data_dir: Path
    on_stream: Sessions
    on_sse: Sessions
    event_streams: Callable[[], list[int]]

    def shown(self, engine: Engine) -> dict[str, Any]:
        """The status view, without the activity."""
        now_ms = engine.now_ms()
        settings = engine.snapshot.settings
        path = heartbeat_path(self.data_dir)
        beat = read_heartbeat(path)
        over_stdio = beat is not None and is_online(beat, now_ms)
        http = self._http(now_ms)
        online = {
            "stdio": over_stdio,
            "all": over_stdio or http["online"],
        }.get(settings["mcpTransport"], http["online"])
        return {
            "status": "online" if online else "offline",
            "online": online,
            "enabled": settings["mcpEnabled"],
            "transport": settings["mcpTransport"],
            "heartbeatPath": str(path),
            "heartbeat": _beat(beat, now_ms) if beat is not None else None,
            "httpTransport": http,
        }

    def _http(self, now_ms: int) -> dict[str, Any]:
        used: list[tuple[Name, bool, list[int]]] = [
            ("streamable-http", self.on_stream.in_use(), self.on_stream.opened_at_ms()),
            (
                "sse",
                self.on_sse.in_use() or bool(self.event_streams()),
                [*self.on_sse.opened_at_ms(), *self.event_streams()],
            ),
        ]
        live = [(name, opened) for name, in_use, opened in used if in_use]
        oldest = min((at_ms for _, opened in live for at_ms in opened), default=None)
        return {
            "online": bool(live),
            "transport": live[0][0] if live else None,
            "startedAt": oldest,
            "uptime": None if oldest is None else f"{(now_ms - oldest) // 1000}s",
        }


def _beat(beat: Heartbeat, now_ms: int) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(beat),
        "pidAlive": is_alive(beat.pid),
        "heartbeatAgeMs": since_ms(beat.last_heartbeat_at, now_ms),
        "uptimeMs": since_ms(beat.started_at, now_ms),
    }
