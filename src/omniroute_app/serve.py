"""Running the gateway: a checked bind, a listening socket, and a stop that lets streams finish."""

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus
from uvicorn.server import HANDLED_SIGNALS

from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest
from omniroute.operations.access.sign_in import ensure_password
from omniroute.upstream.demo.server import demo_app
from omniroute_app.asgi import Gateway, build_gateway
from omniroute_app.banner import banner
from omniroute_app.config_at_start import applied_on_hangup, apply_file
from omniroute_app.running import announced
from omniroute_app.settings import Settings
from omniroute_app.wiring import open_engine

_GOODBYE_S = 0.5
"""How long the answer to whoever stops the process may take on its way."""


class _Server(uvicorn.Server):
    """Says when it answers, and drains as soon as a signal asks the process to stop."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], drain: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()
        gc.enable()
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Uvicorn raises a signal again once it has stopped, which would end the process before
        the journal is drained and the database closed. Here a signal has done its work then, and
        one that asks again says nothing new. Ctrl-C still means: now."""
        previous = {one: signal.signal(one, self.handle_exit) for one in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for one in previous:
                signal.signal(one, _ending)
            signal.signal(signal.SIGINT, previous[signal.SIGINT])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain()
        super().handle_exit(sig, frame)


def _ending(_sig: int, _frame: FrameType | None) -> None:
    """The process ends already."""


async def serve(settings: Settings, say: Callable[[str], None]) -> bool:
    """Run until a signal or an operator stops the process.

    Args:
        say: prints the banner, once the gateway answers.

    Returns:
        Whether it is to start again.

    Raises:
        InvalidRequest: the bind would be open to others without authentication.
        Conflict: the port is taken.
        OmniRouteError: the data directory or the database cannot be used.
    """
    # Every stream of ours ends by itself or is ended by `drain`; nothing may be cut before.
    AppStatus.enable_automatic_graceful_drain = False
    listener, loop = listen(settings.host, settings.port), asyncio.get_running_loop()
    try:
        async with open_engine(settings, os.environ) as engine:
            await ensure_password(engine, settings.initial_password)
            if settings.config_file is not None:
                await apply_file(engine, settings.config_file)
            require_safe_bind(engine, settings)
            gateway = build_gateway(engine, settings)
            server = _Server(
                _config(gateway, settings), lambda: say(banner(engine, settings)), gateway.drain
            )
            again = False

            def end(restart: bool) -> None:
                nonlocal again
                again = restart
                loop.call_later(_GOODBYE_S, server.handle_exit, signal.SIGTERM, None)

            engine.lifecycle.ends_by(end)
            with (
                announced(settings.data_dir, settings.local_url),
                applied_on_hangup(engine, settings.config_file),
            ):
                await server.serve(sockets=[listener])
            return again
    finally:
        listener.close()


async def serve_upstream(host: str, port: int, say: Callable[[str], None]) -> None:
    """Run the demo upstream until a signal stops the process.

    Raises:
        Conflict: the port is taken.
        InvalidRequest: the address is not one of this machine.
    """
    listener = listen(host, port)
    told = (
        f"Demo upstream on http://{host}:{port}/v1 "
        "(OpenAI: /chat/completions, Anthropic: /messages). Stop: Ctrl-C"
    )
    config = uvicorn.Config(demo_app(), log_config=None, access_log=False, lifespan="off")
    try:
        await _Server(config, lambda: say(told), lambda: None).serve(sockets=[listener])
    finally:
        listener.close()


def _config(gateway: Gateway, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        gateway.app,
        log_config=None,
        access_log=False,
        log_level=settings.log_level,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=int(gateway.grace_s),
        lifespan="on",
        ws="none",
        proxy_headers=False,  # a header must never make a stranger local
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Conflict: somebody else has the port.
        InvalidRequest: the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} is taken, perhaps by a gateway that already runs. "
                "Choose another with --port."
            ) from error
        raise InvalidRequest(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def require_safe_bind(engine: Engine, settings: Settings) -> None:
    """Refuse to be open to other machines by accident.

    Raises:
        InvalidRequest: the bind is not loopback and nobody could authenticate.
    """
    if settings.is_loopback_bind or settings.require_api_key is False:
        return
    if not engine.snapshot.keys and settings.api_key is None:
        raise InvalidRequest(
            f"Listening on {settings.host} would let other machines in, and there is no API key "
            "they could be asked for. Set OMNIROUTE_API_KEY, or create a key first "
            "(start on 127.0.0.1, POST /api/keys). If everyone on that network may use the "
            "gateway, say so with REQUIRE_API_KEY=false."
        )
