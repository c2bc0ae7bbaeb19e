"""What the gateway runs on, for whoever asks for help with it. 02 §27."""

import asyncio
import os
import platform
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine

PROBE_S = 3.0
CACHED_MS = 60_000
_MOST_OUTPUT = 200

TOOLS: Mapping[str, tuple[str, ...]] = {
    "git": ("git", "--version"),
    "node": ("node", "--version"),
    "claude": ("claude", "--version"),
    "codex": ("codex", "--version"),
    "gemini": ("gemini", "--version"),
    "opencode": ("opencode", "--version"),
}
"""Programs whose versions matter to whoever connects clients, and how they tell them."""

SHOWN_VARIABLES = ("HOST", "LANG", "OMNIROUTE_HOST", "OMNIROUTE_PORT", "PORT", "TZ")
"""Variables that hold no secrets."""


class Runtime(Struct, frozen=True, kw_only=True, rename="camel"):
    """The machine. Sizes in MiB; None where it does not say."""

    python: str
    implementation: str
    platform: str
    arch: str
    os: str
    hostname: str
    cpus: int
    total_memory_mb: int | None
    free_memory_mb: int | None


class DatabaseInfo(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is stored where."""

    driver: str
    schema_version: str
    size_bytes: int


class Product(Struct, frozen=True, kw_only=True, rename="camel"):
    """The gateway itself."""

    name: str
    version: str
    uptime_sec: int
    pid: int
    data_dir_writable: bool
    database: DatabaseInfo


class Tool(Struct, frozen=True):
    """A program on this machine; no version where it is not there."""

    name: str
    version: str | None


class Docker(Struct, frozen=True):
    """Whether containers can be run here."""

    version: str | None


class SystemInfo(Struct, frozen=True, kw_only=True, rename="camel"):
    """All of it. Values of variables are masked."""

    generated_at: str
    runtime: Runtime
    omniroute: Product
    tools: list[Tool]
    docker: Docker
    env: dict[str, str]


_versions: dict[str, tuple[int, str | None]] = {}


async def system_info(engine: Engine, caller: Caller) -> SystemInfo:
    """What the gateway runs on. Programs are asked at most once a minute, three seconds each."""
    names = (*TOOLS, "docker")
    found = await asyncio.gather(*(_version(engine.now_ms(), name) for name in names))
    versions = dict(zip(names, found, strict=True))
    async with engine.database.reading() as work:
        size = await work.whole.used_bytes() + await work.whole.free_bytes()
        revision = await work.whole.revision()
    return SystemInfo(
        generated_at=iso(engine.now_ms()),
        runtime=_runtime(),
        omniroute=Product(
            name="omniroute",
            version=engine.version,
            uptime_sec=(engine.now_ms() - engine.started_at_ms) // 1_000,
            pid=os.getpid(),
            data_dir_writable=os.access(engine.data_dir, os.W_OK),
            database=DatabaseInfo(
                driver=engine.database.kind,
                schema_version=revision,
                size_bytes=size,
            ),
        ),
        tools=[Tool(name, versions[name]) for name in TOOLS],
        docker=Docker(versions["docker"]),
        env={name: _masked(os.environ[name]) for name in SHOWN_VARIABLES if name in os.environ},
    )


def as_text(info: SystemInfo) -> str:
    """The same for people, to be pasted into a report."""
    product, machine = info.omniroute, info.runtime
    lines = [
        f"OmniRoute {product.version}, up {product.uptime_sec} s, pid {product.pid}",
        f"Python {machine.python} ({machine.implementation}) on {machine.platform} {machine.arch}",
        f"{machine.cpus} CPUs, {machine.free_memory_mb} of {machine.total_memory_mb} MiB free",
        f"Database {product.database.driver}, schema {product.database.schema_version}",
        *(f"{tool.name}: {tool.version or 'not found'}" for tool in info.tools),
        f"docker: {info.docker.version or 'not found'}",
        *(f"{name}={value}" for name, value in info.env.items()),
    ]
    return "\n".join(lines) + "\n"


def _runtime() -> Runtime:
    total, free = _memory()
    return Runtime(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=sys.platform,
        arch=platform.machine(),
        os=platform.platform(terse=True),
        hostname=socket.gethostname(),
        cpus=os.cpu_count() or 1,
        total_memory_mb=total,
        free_memory_mb=free,
    )


def _memory() -> tuple[int | None, int | None]:
    """Total and available memory where the system tells it the way Linux does."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None, None
    sizes = {line.partition(":")[0]: line.split()[1] for line in lines if ":" in line}
    total, free = sizes.get("MemTotal"), sizes.get("MemAvailable")
    return (int(total) // 1024 if total else None, int(free) // 1024 if free else None)


async def _version(now_ms: int, name: str) -> str | None:
    at_ms, known = _versions.get(name, (0, None))
    if now_ms - at_ms < CACHED_MS:
        return known
    found = await _asked(TOOLS.get(name, (name, "--version")))
    _versions[name] = (now_ms, found)
    return found


async def _asked(command: tuple[str, ...]) -> str | None:
    """The first line a program prints about itself; never through a shell."""
    program = shutil.which(command[0])
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "")},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PROBE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    line = output.decode("utf-8", "replace").strip().partition("\n")[0]
    return line[:_MOST_OUTPUT] or None


def _masked(value: str) -> str:
    return f"{value[:4]}****" if len(value) > 8 else "****"
