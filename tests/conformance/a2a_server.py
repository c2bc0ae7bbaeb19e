"""Serves the product's own A2A door with the agent the public test kit expects, and with the
HTTP+JSON binding at the root, where the kit looks for it.

python -m tests.conformance.a2a_server --port 20198 --data-dir DIRECTORY

With OMNIROUTE_API_KEY set a key is required. TCK_STREAMING_TIMEOUT (seconds) is the kit's own.
"""

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import uvicorn
from starlette.applications import Starlette
from tests.conformance.a2a_executor import Scripted

from omniroute.caller import SYSTEM
from omniroute_app.a2a_side import a2a_door_of
from omniroute_app.asgi import access_of, cors_of
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

STREAMING_TIMEOUT_S = 2.0
"""The kit's default."""


async def serve(data_dir: Path, port: int) -> None:
    """Serve until the process is ended."""
    settings = load_settings(os.environ, data_dir=data_dir, port=port, discover=False)
    timeout_s = float(os.environ.get("TCK_STREAMING_TIMEOUT") or STREAMING_TIMEOUT_S)
    async with open_engine(settings, os.environ) as engine:
        async with engine.configuration.change(SYSTEM, "settings.updated") as work:
            await work.settings.set("a2aAllowPrivateWebhooks", True)  # the kit's is on loopback
        access = access_of(engine, settings, cors_of(engine, settings))
        door = a2a_door_of(engine, access, settings, executor=Scripted(timeout_s), binding_path="")

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
            async with door.lifespan():
                print(f"A2A door on http://localhost:{port}/a2a", flush=True)
                yield

        app = Starlette(routes=door.routes, lifespan=lifespan)
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
