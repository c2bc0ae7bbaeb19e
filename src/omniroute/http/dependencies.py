"""What handlers may ask for by name: the engine, and the caller by the class of the route."""

from typing import TypeAlias

from litestar.di import NamedDependency

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.http.access import Access

TheEngine: TypeAlias = NamedDependency[Engine]
"""Parameter `engine`."""

Client: TypeAlias = NamedDependency[Caller]
"""Parameter `client`: whoever may use the model APIs. Asking for it admits the request."""

Operator: TypeAlias = NamedDependency[Caller]
"""Parameter `operator`: whoever may manage the gateway. Asking for it admits the request."""

Visitor: TypeAlias = NamedDependency[Caller]
"""Parameter `visitor`: anybody, with where they come from; for routes that check by themselves."""

TheAccess: TypeAlias = NamedDependency[Access]
"""Parameter `access`."""

Viewer: TypeAlias = NamedDependency[Caller]
"""Parameter `viewer`: an operator, or anybody; for pages that show operators more."""
