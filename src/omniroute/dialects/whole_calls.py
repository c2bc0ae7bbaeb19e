"""Tool calls put together again, for dialects that send each in one piece."""

from omniroute.chat import ToolArgumentsDelta, ToolCall, ToolCallStarted
from omniroute.dialects.arguments import is_object


class WholeCalls:
    """Collects the fragments of a reply's calls and gives them out in the order they began."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[ToolCallStarted, list[str]]] = {}
        self.begun = 0

    def begin(self, started: ToolCallStarted) -> None:
        """A call begins."""
        self._open[started.index] = (started, [])
        self.begun += 1

    def extend(self, delta: ToolArgumentsDelta) -> None:
        """More arguments of a call."""
        if delta.index in self._open:
            self._open[delta.index][1].append(delta.text)

    def complete(self) -> list[ToolCall]:
        """The calls in front whose arguments are a whole object."""
        found: list[ToolCall] = []
        for index in list(self._open):
            call = self._call(index)
            if not is_object(call.arguments):
                break
            del self._open[index]
            found.append(call)
        return found

    def rest(self) -> list[ToolCall]:
        """All calls that are left, whatever their arguments are."""
        found = [self._call(index) for index in self._open]
        self._open.clear()
        return found

    def _call(self, index: int) -> ToolCall:
        started, pieces = self._open[index]
        return ToolCall(started.id, started.name, "".join(pieces))
