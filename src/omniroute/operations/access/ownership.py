"""Whose memories and skills a caller may speak of."""

from omniroute.caller import Caller
from omniroute.errors import Forbidden


def require_own(caller: Caller, api_key_id: str) -> None:
    """Callers have what belongs to their key, operators everything. A caller without a key, on a
    gateway that asks for none, is the owner `anonymous`.

    Raises:
        Forbidden: it belongs to somebody else.
    """
    if not caller.is_operator and api_key_id != caller.owner:
        raise Forbidden(
            f"You are '{caller.owner}' here: name that as apiKeyId, or use a key with the scope"
            " 'manage' for what belongs to others."
        )
