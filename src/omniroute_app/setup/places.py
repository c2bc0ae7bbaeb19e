"""Where clients keep their files: by operating system, with the variables that move them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Literal

System = Literal["linux", "macos", "windows"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides where files are: the system, the home folder and the environment."""

    system: System
    home: str
    environ: Mapping[str, str]

    @property
    def path(self) -> type[PurePath]:
        """The kind of paths the system has."""
        return PureWindowsPath if self.system == "windows" else PurePosixPath


@dataclass(frozen=True, slots=True)
class Place:
    """A file's place on each system. Templates name `{home}`, `{config}` (XDG_CONFIG_HOME) and
    `{appdata}` (APPDATA). `override` is a variable that names a folder, and the path in it; an
    empty path says that the variable names the file itself."""

    linux: str
    macos: str
    windows: str
    override: tuple[str, str] | None = None

    def on(self, machine: Machine) -> PurePath:
        """Where the file is on a machine."""
        kind, environ = machine.path, machine.environ
        if self.override is not None and (moved := environ.get(self.override[0])):
            return kind(moved, self.override[1]) if self.override[1] else kind(moved)
        template = {"linux": self.linux, "macos": self.macos, "windows": self.windows}
        folders = {
            "home": machine.home,
            "config": environ.get("XDG_CONFIG_HOME") or str(kind(machine.home, ".config")),
            "appdata": environ.get("APPDATA") or str(kind(machine.home, "AppData", "Roaming")),
        }
        return kind(template[machine.system].format(**folders))


def system_of(platform: str) -> System:
    """The system `sys.platform` names."""
    return {"darwin": "macos", "win32": "windows"}.get(platform, "linux")  # type: ignore[return-value]
