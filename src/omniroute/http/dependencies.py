"""What handlers may ask for by name: the engine, and the caller by the class of the route."""

from typing import TypeAlias

from litestar.di import NamedDependency

from omniroute.caller import Caller
from omniroute.engine import Engine

TheEngine: TypeAlias = NamedDependency[Engine]
"""Parameter `engine`."""

Client: TypeAlias = NamedDependency[Caller]
"""Parameter `client`: whoever may use the model APIs. Asking for it admits the request."""

Operator: TypeAlias = NamedDependency[Caller]
"""Parameter `operator`: whoever may manage the gateway. Asking for it admits the request."""

Viewer: TypeAlias = NamedDependency[Caller]
"""Parameter `viewer`: an operator, or anybody; for pages that show operators more."""
