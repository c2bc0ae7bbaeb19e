"""Serves the conformance fixture behind the product's gates, authentication and transports.

python -m tests.conformance.mcp_server --port 20199 --data-dir DIRECTORY
"""

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import uvicorn
from starlette.applications import Starlette
from tests.conformance.mcp_fixture import fixture

from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.authentication import Guards
from omniroute_mcp.draining import Calls
from omniroute_mcp.http_side import http_side, security_settings
from omniroute_mcp.resource_metadata import ResourceMetadata
from omniroute_mcp.tasks.running import Tasks


async def serve(data_dir: Path, port: int) -> None:
    """Serve until the process is ended."""
    settings = load_settings({}, data_dir=data_dir, discover=False)
    guards = Guards(
        is_local=lambda _scope: True,
        address_of=lambda _scope: "127.0.0.1",
        security=security_settings((), ()),
        metadata=ResourceMetadata(None, lambda: settings.public_url),
    )
    async with open_engine(settings, os.environ) as engine:
        tasks = Tasks(engine, lambda _context: "conformance")
        side = http_side(engine, partial(fixture, tasks), Calls(), guards)

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
            async with tasks.lifespan(), side.lifespan():
                print(f"conformance fixture on port {port}", flush=True)
                yield

        app = Starlette(routes=side.routes, lifespan=lifespan)
        await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    named = parser.parse_args()
    anyio.run(serve, named.data_dir, named.port)


if __name__ == "__main__":
    main()
