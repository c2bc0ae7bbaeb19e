"""The command line as a process, run to its end."""

import os
import subprocess
import sys
from collections.abc import Mapping


def omniroute(
    *arguments: str, environ: Mapping[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; `typed` is its standard input."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMNIROUTE_")}
    return subprocess.run(
        [sys.executable, "-m", "omniroute_app", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**clean, **(environ or {})},
    )
