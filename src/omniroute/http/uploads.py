"""Files that clients send: as the body itself or as a field of a form, straight to disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from omniroute.errors import InvalidRequest

_FORM_BYTES = 64 * 1024
"""What a form may add to its file."""


async def save_upload(request: Request[Any, Any, Any], target: Path, most: int) -> str:
    """Write the file in a request to disk.

    Takes the field `file` of a form, or a raw body with the query parameter `filename`. Stops
    reading soon after `most` bytes: a file on disk that is larger has not been read to its end.

    Returns:
        What the sender calls the file; empty where a form has no such field.

    Raises:
        InvalidRequest: the form cannot be read, or a raw body has no name.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    chunks = _at_most(request.stream(), most + _FORM_BYTES)
    with await asyncio.to_thread(target.open, "wb") as file:
        if kind == "multipart/form-data":
            return await _from_form(chunks, options.get("boundary", ""), file)
        name = request.query_params.get("filename")
        if not name:
            raise InvalidRequest(
                "Name the file: send it as the form field 'file', or add ?filename=<name>.sqlite.",
                param="filename",
            )
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
        return str(name)


async def _at_most(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """The chunks up to and with the first that passes a number of bytes."""
    size = 0
    async for chunk in chunks:
        yield chunk
        size += len(chunk)
        if size > most:
            return


async def _from_form(chunks: AsyncIterator[bytes], boundary: str, file: BinaryIO) -> str:
    name, mine = "", False
    try:
        parser = PushMultipartParser(boundary)
        async for chunk in chunks:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    mine = event.name == "file"
                    name = (event.filename or "") if mine else name
                elif event and mine:
                    await asyncio.to_thread(file.write, bytes(event))
    except (MultipartError, ValueError) as error:
        raise InvalidRequest(f"The form cannot be read: {error}.", param="file") from error
    return name
