"""Page tokens of `ListTasks`: an offset, opaque to clients."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from a2a.utils.errors import InvalidParamsError


def encode_offset(offset: int) -> str:
    """An opaque page token."""
    return urlsafe_b64encode(b"%d" % offset).decode()


def decode_offset(token: str) -> int:
    """The offset a page token stands for, 0 without one.

    Raises:
        InvalidParamsError: it is no token of ours.
    """
    if not token:
        return 0
    try:
        offset = int(urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as error:
        raise InvalidParamsError("pageToken is not one of ours.") from error
    if offset < 0:
        raise InvalidParamsError("pageToken is not one of ours.")
    return offset
