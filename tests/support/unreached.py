"""Servers on loopback that are reached in a wrong way: bad certificates, the wrong scheme, redirects, proxies."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(folder: Path, *, name: str = "127.0.0.1", days: tuple[int, int] = (-1, 1)) -> tuple[Path, Path]:
    """A self-signed certificate for a host, valid between these days from now, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    try:
        host: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        host = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, private


class _Handler(BaseHTTPRequestHandler):
    """Redirects to https what begins with /moved, refuses tokens at /refusing, is a proxy where it is asked as one."""

    proxy_status = 407

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("http"):
            self._answer(self.proxy_status, {}, b"<html>squid</html>")
        elif self.path.startswith("/moved"):
            target = f"https://studio.example{self.path.removeprefix('/moved')}?key=s3cr3t"
            self._answer(301, {"Location": target}, b"")
        elif self.path.startswith("/refusing"):
            self._answer(401, {"Content-Type": "application/json"}, b'{"detail": "Invalid token."}')
        elif self.path.startswith("/nginx"):
            self._answer(400, {}, b"<h1>400</h1>The plain HTTP request was sent to HTTPS port")
        else:
            self._answer(200, {}, b"picture")

    do_POST = do_GET  # noqa: N815

    def do_CONNECT(self) -> None:
        self._answer(self.proxy_status, {}, b"")

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def speak_https(server: ThreadingHTTPServer, pair: tuple[Path, Path]) -> None:
    """Let a server speak https with a certificate and its key; a handshake that fails stops no other request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]


@contextmanager
def serving(pair: tuple[Path, Path] | None = None, *, proxy_status: int = 407) -> Iterator[int]:
    """A server that speaks https where it has a certificate with its key, else http; yields its port."""
    handler = type("Handler", (_Handler,), {"proxy_status": proxy_status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if pair is not None:
        speak_https(server, pair)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent() -> Iterator[int]:
    """A port at which connections are accepted and nothing is ever sent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield int(listener.getsockname()[1])


@contextmanager
def hanging_up() -> Iterator[int]:
    """A port at which connections are closed as soon as something was sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
