"""Credentials of every kind: headers, Amazon's signatures, Google's tokens."""

import datetime
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from omniroute.catalog.providers import PROVIDERS
from omniroute.errors import InvalidRequest
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import OutboundRequest, OutboundResponse

pytestmark = pytest.mark.anyio

NOW_MS = 1_700_000_000_000
BODY = b'{"a":1}'


class Answer:
    """A scripted response."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self) -> bytes:
        return self._body

    async def aclose(self) -> None:
        """Nothing is open."""


class Google:
    """The token endpoint: answers every statement with a token of its own."""

    def __init__(self, status: int = 200, body: bytes | None = None) -> None:
        self.asked: list[OutboundRequest] = []
        self._status, self._body = status, body

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        await anyio.lowlevel.checkpoint()
        token = {"access_token": f"token-{len(self.asked)}", "expires_in": 3600}
        return Answer(self._status, self._body or json.dumps(token).encode())

    async def aclose(self) -> None:
        """Nothing is open."""


def plain(url: str = "https://x.test/v1/chat") -> OutboundRequest:
    return OutboundRequest(url=url, headers={"content-type": "application/json"}, body=BODY)


async def authorized(provider: str, key: str, **options: Any) -> OutboundRequest:
    credentials = Credentials(Google(), lambda: NOW_MS)
    return await credentials.authorized(PROVIDERS[provider], key, options, plain())


HEADERS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "bearer": ("openai", {}, {"authorization": "Bearer k"}),
    "an API key": ("azure-openai", {}, {"api-key": "k"}),
    "a token where a key is usual": (
        "azure-openai",
        {"auth": "bearer"},
        {"authorization": "Bearer k"},
    ),
    "Google's own header": ("gemini", {}, {"x-goog-api-key": "k"}),
    "a Bedrock API key": ("bedrock-anthropic", {}, {"authorization": "Bearer k"}),
    "nothing": ("ollama", {}, {}),
}


@pytest.mark.parametrize(("provider", "options", "headers"), HEADERS.values(), ids=HEADERS)
async def test_headers(provider: str, options: dict[str, Any], headers: dict[str, str]) -> None:
    request = await authorized(provider, "k", **options)
    assert request.headers == {"content-type": "application/json", **headers}


def expected_signature(url_path: str, host: str, secret: str, date: str) -> str:
    """Signature Version 4, written down a second time.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    day, region, service = date[:8], "eu-west-1", "bedrock"
    signed = "content-type;host;x-amz-date"
    headers = f"content-type:application/json\nhost:{host}\nx-amz-date:{date}\n"
    hashed = hashlib.sha256(BODY).hexdigest()
    canonical = f"POST\n{url_path}\n\n{headers}\n{signed}\n{hashed}"
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


async def test_a_request_to_amazon_is_signed() -> None:
    row = PROVIDERS["bedrock-anthropic"]
    url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v1:0/invoke"
    credentials = Credentials(Google(), lambda: NOW_MS)
    options = {"accessKeyId": "AKID", "region": "eu-west-1"}
    request = await credentials.authorized(row, "secret", options, plain(url))
    date = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    assert request.url.endswith("/model/anthropic.claude-v1%3A0/invoke")
    # The path is escaped once more for the signature, as Amazon does for all but its storage.
    signature = expected_signature(
        "/model/anthropic.claude-v1%253A0/invoke",
        "bedrock-runtime.eu-west-1.amazonaws.com",
        "secret",
        date,
    )
    assert request.headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKID/{date[:8]}/eu-west-1/bedrock/aws4_request, "
        f"SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
    )
    assert request.headers["x-amz-date"] == date


async def test_a_passing_key_brings_its_token() -> None:
    request = await authorized(
        "bedrock-anthropic", "secret", accessKeyId="AKID", sessionToken="passing"
    )
    assert request.headers["x-amz-security-token"] == "passing"
    assert "x-amz-security-token" in request.headers["authorization"]


@pytest.fixture(scope="module")
def key_file() -> str:
    """The key file of a service account that does not exist."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    fields = {"client_email": "a@p.iam", "private_key": text, "project_id": "p"}
    return json.dumps({**fields, "private_key_id": "kid"})


async def test_a_service_account_gets_a_token_for_its_signed_statement(key_file: str) -> None:
    google = Google()
    credentials = Credentials(google, lambda: NOW_MS)
    row = PROVIDERS["vertex"]
    request = await credentials.authorized(row, key_file, {}, plain())
    assert request.headers["authorization"] == "Bearer token-1"
    (asked,) = google.asked
    fields = parse_qs((asked.body or b"").decode())
    assert asked.url == "https://oauth2.googleapis.com/token"
    assert fields["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    key = RSAKey.import_key(json.loads(key_file)["private_key"])
    claims = jwt.decode(fields["assertion"][0], key, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"]) == ("a@p.iam", asked.url)
    assert claims["exp"] - claims["iat"] == 3600


async def test_a_token_is_shared_and_renewed_in_time(key_file: str) -> None:
    google, now = Google(), [NOW_MS]
    credentials = Credentials(google, lambda: now[0])
    row = PROVIDERS["vertex-anthropic"]
    given: list[str] = []

    async def ask() -> None:
        request = await credentials.authorized(row, key_file, {}, plain())
        given.append(request.headers["authorization"])

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    now[0] += 3_200_000
    await ask()
    now[0] += 200_000
    await ask()
    assert given == ["Bearer token-1"] * 5 + ["Bearer token-1", "Bearer token-2"][:1] + [
        "Bearer token-2"
    ]


REFUSED = {
    "no JSON": (lambda good: "{", Google(), "JSON key file"),
    "another address": (
        lambda good: json.dumps({**json.loads(good), "token_uri": "https://evil.test/token"}),
        Google(),
        "not Google's",
    ),
    "no key inside": (
        lambda good: json.dumps({**json.loads(good), "private_key": "none"}),
        Google(),
        "no RSA private key",
    ),
    "a refusal": (lambda good: good, Google(400, b"{}"), "status 400"),
}


@pytest.mark.parametrize(("damage", "google", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_with_a_service_account_is_said(
    key_file: str, damage: Any, google: Google, told: str
) -> None:
    credentials = Credentials(google, lambda: NOW_MS)
    with pytest.raises(InvalidRequest, match=told):
        await credentials.authorized(PROVIDERS["vertex"], damage(key_file), {}, plain())
