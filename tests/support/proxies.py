"""Real proxies on loopback: HTTP CONNECT, the same over TLS, and SOCKS5, with authentication."""

import asyncio
import base64
import ipaddress
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Mood: TypeAlias = Literal["willing", "hangs", "hangs-up", "refuses", "babbles"]


@dataclass
class TestProxy:
    """A proxy. `asked` are the `host:port` it was asked for, `connections` counts its clients.

    `mood` may change while it runs; `username` None lets everybody in. `lookup` are the names
    only the proxy knows.
    """

    __test__ = False

    kind: Literal["http", "https", "socks5"]
    username: str | None = None
    password: str = ""
    mood: Mood = "willing"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    lookup: dict[str, str] = field(default_factory=dict)
    server: asyncio.Server | None = None
    clients: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def die(self) -> None:
        """Stop listening, and cut every connection."""
        assert self.server is not None
        self.server.close()
        for writer in self.clients:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its greeting to the end of its tunnel."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.clients.add(writer)
        try:
            if self.mood == "hangs":
                await reader.read(-1)
            elif self.mood == "babbles":
                writer.write(b"SSH-2.0-x\r\n\r\n" * 10)
                await writer.drain()
            elif self.mood != "hangs-up":
                handshake = self._socks5 if self.kind == "socks5" else self._connect
                place = await handshake(reader, writer)
                if place is not None:
                    await self._pump(reader, writer, *place)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            self.clients.discard(writer)
            with suppress(OSError):
                writer.close()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int] | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        assert method == "CONNECT"
        if self.username is not None:
            sent = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            if f"proxy-authorization: basic {sent}".lower() not in head.lower():
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
                )
                await writer.drain()
                return None
        self.asked.append(target)
        if self.mood == "refuses":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return None
        # In two pieces, as some proxies do.
        writer.write(b"HTTP/1.1 200 Connection established\r\n")
        await writer.drain()
        writer.write(b"Via: test\r\n\r\n")
        host, _, port = target.rpartition(":")
        return host.strip("[]"), int(port)

    async def _socks5(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int] | None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        wanted = 0 if self.username is None else 2
        if wanted not in methods:
            writer.write(b"\x05\xff")
            await writer.drain()
            return None
        writer.write(bytes([5, wanted]))
        if wanted:
            _, length = await reader.readexactly(2)
            username = (await reader.readexactly(length)).decode()
            password = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            if (username, password) != (self.username, self.password):
                writer.write(b"\x01\x01")
                await writer.drain()
                return None
            writer.write(b"\x01\x00")
        *_, form = await reader.readexactly(4)
        if form == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family, size = (socket.AF_INET, 4) if form == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        port: int = struct.unpack("!H", await reader.readexactly(2))[0]
        self.asked.append(f"{host}:{port}")
        code = 2 if self.mood == "refuses" else 0
        writer.write(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
        await writer.drain()
        return None if code else (host, port)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        to = await asyncio.open_connection(self.lookup.get(host, host), port)
        self.clients.add(to[1])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, to[1]))
                group.create_task(_copy(to[0], writer))
        except* OSError:
            pass
        finally:
            self.clients.discard(to[1])
            to[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def running(proxy: TestProxy, tls: ssl.SSLContext | None = None) -> AsyncIterator[TestProxy]:
    """The proxy, listening. `tls` is what an `https` one shows."""
    proxy.server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = proxy.server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.die()
        await asyncio.gather(*proxy.tasks)


def certificate(directory: Path, *names: str) -> Path:
    """A self-signed certificate for names and addresses, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
