"""Cold start, idle memory, and requests a second against a bare pass-through, in one run.

make bench                 run everything and write docs/benchmarks.md
make bench ARGS=--dry-run  run everything and only print
"""

import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import uvloop
from wire import CHUNKS, Upstream, load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
SECONDS = 3.0
PAIRS = 3
CALLERS = (1, 16, 64)
BODY = {"model": "mock/m", "messages": [{"role": "user", "content": "Say hello."}]}


def say(text: str) -> None:
    """Progress, so that nobody wonders."""
    sys.stderr.write(f"{text}\n")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    """One JSON request."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"content-type": "application/json"})) as answer:
        return json.loads(answer.read())


@contextmanager
def process(arguments: list[str], port: int, **environ: str) -> Iterator[psutil.Process]:
    """A server process pinned to the last core, ended on exit."""
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        cwd=ROOT / "benchmarks",
    )
    try:
        handle = psutil.Process(child.pid)
        if hasattr(handle, "cpu_affinity"):
            handle.cpu_affinity([max(handle.cpu_affinity())])
        wait_for(port)
        yield handle
    finally:
        child.terminate()
        child.wait()


def wait_for(port: int) -> None:
    """Until something listens."""
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port}")
        time.sleep(0.005)


def gateway(data_dir: str, port: int) -> list[str]:
    """The command line of the gateway."""
    return ["-m", "omniroute_app", "serve", "--port", str(port), "--data-dir", data_dir]


def cold_start() -> tuple[float, float]:
    """Seconds from process start to the first answer, and idle memory in MB after it."""
    starts, memory = [], 0.0
    for _ in range(5):
        with tempfile.TemporaryDirectory() as data_dir:
            port = free_port()
            began = time.perf_counter()
            with process(gateway(data_dir, port), port, OMNIROUTE_DISCOVER="false") as handle:
                messages = [{"role": "user", "content": "hi"}]
                url = f"http://127.0.0.1:{port}/v1/chat/completions"
                call(url, {"model": "demo/echo", "messages": messages})
                starts.append(time.perf_counter() - began)
                memory = handle.memory_info().rss / 1e6
    return statistics.median(starts), memory


def request_bytes(port: int, *, stream: bool) -> bytes:
    """A request as it goes over the wire."""
    body = json.dumps({**BODY, "stream": stream}).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def measure(
    handle: psutil.Process, port: int, callers: int, *, stream: bool
) -> dict[str, float]:
    """Requests a second, CPU microseconds a request, latency percentiles in milliseconds."""
    request = request_bytes(port, stream=stream)
    await load("127.0.0.1", port, request, callers, 0.5)
    before = sum(handle.cpu_times()[:2])
    began = time.perf_counter()
    answers, latencies, all_good = await load("127.0.0.1", port, request, callers, SECONDS)
    took = time.perf_counter() - began
    if not all_good or not answers:
        raise RuntimeError("the server answered something else than 200")
    cpu_us = (sum(handle.cpu_times()[:2]) - before) / answers * 1e6
    latencies.sort()
    return {
        "rps": answers / took,
        "cpu_us": cpu_us,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


async def compare() -> list[dict[str, Any]]:
    """Both servers side by side, medians of paired runs."""
    mock_port, gateway_port, bare_port = free_port(), free_port(), free_port()
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", mock_port)
    mock = f"http://127.0.0.1:{mock_port}"
    bare_args = ["-m", "uvicorn", "passthrough:app", "--port", str(bare_port)]
    bare_args += ["--no-access-log", "--log-level", "warning", "--loop", "uvloop"]
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as data_dir,
        process(gateway(data_dir, gateway_port), gateway_port, OMNIROUTE_DISCOVER="false") as ours,
        process(bare_args, bare_port, UPSTREAM=mock) as bare,
    ):
        await asyncio.to_thread(configure, gateway_port, mock)
        for stream in (False, True):
            for callers in CALLERS:
                pairs = []
                for number in range(PAIRS):
                    kind = "streams" if stream else "whole replies"
                    say(f"{kind}, {callers} callers, run {number + 1} of {PAIRS}")
                    plain = await measure(bare, bare_port, callers, stream=stream)
                    full = await measure(ours, gateway_port, callers, stream=stream)
                    pairs.append((full, plain))
                rows.append(summary(stream, callers, pairs))
    server.close()
    return rows


def configure(port: int, mock: str) -> None:
    """Point the gateway at the mock."""
    api = f"http://127.0.0.1:{port}/api"
    node = {"name": "mock", "prefix": "mock", "apiType": "chat", "baseUrl": f"{mock}/v1"}
    made = call(f"{api}/provider-nodes", node)
    call(f"{api}/providers", {"provider": made["node"]["id"], "name": "mock", "apiKey": "k"})


def summary(
    stream: bool, callers: int, pairs: list[tuple[dict[str, float], dict[str, float]]]
) -> dict[str, Any]:
    """One row: the medians of both, and the median of the pairs' ratios."""
    middle = {
        name: {key: statistics.median(pair[side][key] for pair in pairs) for key in pairs[0][side]}
        for side, name in ((0, "full"), (1, "bare"))
    }
    ratio = statistics.median(full["rps"] / bare["rps"] for full, bare in pairs)
    return {"stream": stream, "callers": callers, "ratio": ratio, **middle}


def page(start_s: float, memory_mb: float, rows: list[dict[str, Any]]) -> str:
    """The page with the results."""
    lines = ["|" + "|".join(HEAD) + "|", "|---" * len(HEAD) + "|"]
    for row in rows:
        kind = f"stream of {CHUNKS} chunks" if row["stream"] else "whole reply"
        ours, bare = row["full"], row["bare"]
        lines.append(
            f"| {kind} | {row['callers']} | {ours['rps']:.0f} | {bare['rps']:.0f} "
            f"| {row['ratio']:.2f} | {ours['cpu_us']:.0f} | {bare['cpu_us']:.0f} "
            f"| {ours['p99_ms']:.1f} | {bare['p99_ms']:.1f} |"
        )
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    return MEASURED.format(
        machine=machine,
        python=platform.python_version(),
        start=start_s,
        memory=memory_mb,
        table="\n".join(lines),
    )


HEAD = (
    "workload",
    "callers",
    "ours req/s",
    "bare req/s",
    "ratio",
    "ours CPU µs",
    "bare CPU µs",
    "ours p99 ms",
    "bare p99 ms",
)

MEASURED = """<!-- measured: written by `make bench` -->
Machine: {machine}; Python {python}. Medians of {pairs} paired runs of {seconds:.0f} s, the server
pinned to one core, load generator and mock upstream on the other.

- Cold start, process start to first answer: **{start:.2f} s** (median of 5)
- Memory after the first answer: **{memory:.0f} MB**

{table}
<!-- /measured -->""".replace("{pairs}", str(PAIRS)).replace("{seconds:.0f}", f"{SECONDS:.0f}")


def main() -> None:
    """Measure, print, and put the result into the page."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    say("cold start ...")
    start_s, memory_mb = cold_start()
    rows = uvloop.run(compare())
    measured = page(start_s, memory_mb, rows)
    sys.stdout.write(measured + "\n")
    if "--dry-run" not in sys.argv:
        text = PAGE.read_text()
        head, _, rest = text.partition("<!-- measured:")
        tail = rest.partition("<!-- /measured -->")[2]
        PAGE.write_text(head + measured + tail)


if __name__ == "__main__":
    main()
