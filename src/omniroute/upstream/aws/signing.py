"""Requests signed as Amazon wants them: Signature Version 4, by its own library."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from omniroute.errors import InvalidRequest
from omniroute.upstream.aws import NEEDS
from omniroute.upstream.send import OutboundRequest

SERVICE = "bedrock"
_TIME = "%Y%m%dT%H%M%SZ"


class AwsKey(Struct, frozen=True):
    """An access key of an Amazon account, and where it is used."""

    access_key_id: str
    secret: str
    region: str
    session_token: str | None = None

    @classmethod
    def of(cls, secret: str, options: Mapping[str, Any], defaults: Mapping[str, str]) -> Self:
        """The key an account's options describe."""
        token = options.get("sessionToken")
        return cls(
            access_key_id=str(options["accessKeyId"]),
            secret=secret,
            region=str(options.get("region") or defaults.get("region") or "us-east-1"),
            session_token=str(token) if token else None,
        )


def signed(request: OutboundRequest, key: AwsKey, at_ms: int) -> OutboundRequest:
    """The request with its signature. Model ids hold colons, which Amazon wants escaped.

    Raises:
        InvalidRequest: the library for it is not installed.
    """
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError as missing:
        raise InvalidRequest(NEEDS) from missing
    url = _escaped(request.url)
    plain = AWSRequest(
        method=request.method, url=url, data=request.body, headers=dict(request.headers)
    )
    signer = SigV4Auth(
        Credentials(key.access_key_id, key.secret, key.session_token), SERVICE, key.region
    )
    plain.context["timestamp"] = datetime.fromtimestamp(at_ms / 1000, UTC).strftime(_TIME)
    plain.headers["X-Amz-Date"] = plain.context["timestamp"]
    if key.session_token:
        plain.headers["X-Amz-Security-Token"] = key.session_token
    wanted = signer.canonical_request(plain)
    signature = signer.signature(signer.string_to_sign(plain, wanted), plain)
    scope = f"Credential={signer.scope(plain)}"
    names = f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(plain))}"
    headers = {name.lower(): str(value) for name, value in plain.headers.items()}
    headers["authorization"] = f"AWS4-HMAC-SHA256 {scope}, {names}, Signature={signature}"
    return msgspec.structs.replace(request, url=url, headers=headers)


def _escaped(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=quote(parts.path, safe="/-_.~%")))
