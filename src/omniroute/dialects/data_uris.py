"""Pictures and documents inside a request: base64 data URIs taken apart and put together."""

_BY_ENDING = {
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
}


def media_type_of(address: str) -> str | None:
    """What the ending of an address says about its media type; None when it says nothing."""
    path = address.partition("?")[0].partition("#")[0]
    return _BY_ENDING.get(path.rpartition(".")[2].lower())


def parse_data_uri(uri: str) -> tuple[str, str] | None:
    """Media type and base64 data; None when `uri` is not a base64 data URI."""
    if not uri.startswith("data:"):
        return None
    head, comma, data = uri[5:].partition(",")
    media_type, _, encoding = head.rpartition(";")
    if not comma or not data or encoding != "base64":
        return None
    return media_type.partition(";")[0], data


def data_uri(data: str, media_type: str) -> str:
    """The data URI of base64 data."""
    return f"data:{media_type};base64,{data}"
