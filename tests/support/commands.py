"""The command line: as a process run to its end, or called in this one where many are."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from unittest import mock

from omniroute_app.cli.root import run


def omniroute(
    *arguments: str, environ: Mapping[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; `typed` is its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "omniroute_app", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**_clean(), **(environ or {})},
    )


def called(
    *arguments: str, environ: Mapping[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """The same in this process, for commands that ask a gateway: a start costs more than they."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {**_clean(), **(environ or {})}, clear=True),
        mock.patch.object(sys, "stdin", io.StringIO(typed)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def _clean() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("OMNIROUTE_")}
