"""Starts the server the A2A test kit is pointed at."""

from pathlib import Path

from tests.support.processes import Process, free_port

KEY = "sk-conformance"
TIMEOUT_S = 1.0
"""The kit's streaming timeout: two of them are how long a subscriber has to come."""


def door(place: Path, **environ: str) -> tuple[Process, str]:
    """The running server, and its address."""
    port = free_port()
    arguments = ["--port", str(port), "--data-dir", str(place)]
    environ = {"TCK_STREAMING_TIMEOUT": str(TIMEOUT_S), **environ}
    process = Process(
        arguments, ready="A2A door on", module="tests.conformance.a2a_server", environ=environ
    )
    return process, f"http://localhost:{port}"
