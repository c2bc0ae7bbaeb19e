"""Real processes of the product, started on free ports and ended by their id."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Self

START_LIMIT_S = 30


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One child process of the product; leaving the context ends it.

    `lines` collects what it printed. `module` is what is run, of the product or of its tests.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        ready: str,
        environ: Mapping[str, str] | None = None,
        module: str = "omniroute_app",
    ) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(("_API_KEY", "_TOKEN")) and not name.startswith("OMNIROUTE_")
        }
        self.lines: list[str] = []
        self._arrived: Queue[str | None] = Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**clean, "PYTHONUNBUFFERED": "1", **(environ or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(ready)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._arrived.put(line)
        self._arrived.put(None)

    def wait_for(self, text: str) -> None:
        """Read on until a line holds `text`."""
        while True:
            try:
                line = self._arrived.get(timeout=START_LIMIT_S)
            except Empty:
                line = None
            if line is None:
                self.stop()
                raise AssertionError("the process did not start:\n" + "\n".join(self.lines))
            if text in line:
                return

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._finish()

    def stop(self, limit_s: float = 20) -> int:
        """Ask politely and wait; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._finish()
            raise AssertionError(f"the process did not stop within {limit_s} s") from None
        self._finish()
        return self._process.returncode

    def terminate(self) -> None:
        """Ask politely and do not wait."""
        self._process.send_signal(signal.SIGTERM)

    def _finish(self) -> None:
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None and not self._process.stdout.closed:
            self._finish()


class Gateway(Process):
    """`omniroute serve` on a free port. `url` is its address."""

    def __init__(
        self,
        data_dir: Path,
        *,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        super().__init__(
            ["serve", "--port", str(self.port), "--data-dir", str(data_dir), *arguments],
            ready="Try all doors",
            environ={"OMNIROUTE_DISCOVER": "false", **(environ or {})},
        )


class Upstream(Process):
    """`omniroute upstream` on a free port. `url` is its address, without `/v1`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(["upstream", "--port", str(self.port)], ready="Demo upstream on")
