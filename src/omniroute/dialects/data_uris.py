"""Pictures and documents inside a request: base64 data URIs taken apart and put together."""


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
