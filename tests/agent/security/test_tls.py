from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.errors import PermanentError
from agent.security import tls
from agent.security.errors import TlsFileError

pytestmark = pytest.mark.peer


@pytest.fixture
def made(tmp_path: Path, openssl: Callable[..., bytes]) -> SimpleNamespace:
    """Return the paths of a CA, a server's and a client's certificate with their keys."""

    def make(name: str, *extra: str) -> None:
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")),
            *extra,
        )

    by_ca = ("-CA", str(tmp_path / "ca.pem"), "-CAkey", str(tmp_path / "ca.key"))
    make("ca")
    make("server", *by_ca, "-addext", "subjectAltName=IP:127.0.0.1")
    make("client", *by_ca, "-addext", "basicConstraints=critical,CA:FALSE")
    make("stranger")
    return SimpleNamespace(
        **{path.name.replace(".", "_"): path for path in tmp_path.iterdir()}, folder=tmp_path
    )


def _talk(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Return the version of TLS that both agreed upon; raises what the client sees."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                accepted, _ = listener.accept()
                accepted.settimeout(10)
                with accepted, server.wrap_socket(accepted, server_side=True) as tunnel:
                    tunnel.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname="127.0.0.1") as tunnel,
            ):
                # A server of TLS 1.3 refuses a client's certificate after the client's handshake.
                if tunnel.recv(5) != b"hello":
                    raise ssl.SSLError("closed")
                return tunnel.version()
        finally:
            thread.join(timeout=10)


def _client(made: SimpleNamespace) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made.ca_pem)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 sets it
    return context


def test_a_client_that_trusts_the_ca_enters_by_tls_1_2_or_1_3(made: SimpleNamespace) -> None:
    server = tls.server_context(made.server_pem, private_key=made.server_key)
    old = _client(made)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    assert _talk(server, _client(made)) == "TLSv1.3"
    assert _talk(server, old) == "TLSv1.2"
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2


def test_certificate_and_key_may_stand_in_one_file(made: SimpleNamespace) -> None:
    both = made.folder / "both.pem"
    both.write_text(
        "# 证书\n" + made.server_pem.read_text() + made.server_key.read_text(), encoding="utf-8"
    )

    assert _talk(tls.server_context(both, private_key=both), _client(made)) == "TLSv1.3"


def test_mutual_tls_lets_only_clients_of_the_ca_in(made: SimpleNamespace) -> None:
    server = tls.server_context(made.server_pem, private_key=made.server_key, client_ca=made.ca_pem)
    known, unknown = _client(made), _client(made)
    known.load_cert_chain(made.client_pem, made.client_key)
    unknown.load_cert_chain(made.stranger_pem, made.stranger_key)

    assert _talk(server, known) == "TLSv1.3"
    for client in (_client(made), unknown):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _talk(server, client)


def test_each_unusable_file_is_named_with_what_is_wrong(
    made: SimpleNamespace, openssl: Callable[..., bytes]
) -> None:
    folder = made.folder
    locked, old_locked = folder / "locked.key", folder / "old-locked.key"
    openssl(
        *("pkey", "-in", str(made.server_key), "-aes256", "-passout", "pass:x"),
        *("-out", str(locked)),
    )
    openssl(
        *("ec", "-in", str(made.server_key), "-aes256", "-passout", "pass:x"),
        *("-out", str(old_locked)),
    )
    der = folder / "server.der"
    openssl("x509", "-in", str(made.server_pem), "-outform", "DER", "-out", str(der))
    cut = folder / "cut.pem"
    cut.write_text(made.server_pem.read_text()[:200] + "\n-----END CERTIFICATE-----\n")
    cut_key = folder / "cut.key"
    cut_key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    missing = folder / "missing"

    certificate, key = made.server_pem, made.server_key
    for arguments, path, reason in [
        ((missing, key, None), missing, "no such file"),
        ((certificate, missing, None), missing, "no such file"),
        ((certificate, key, missing), missing, "no such file"),
        ((folder, key, None), folder, "not a regular file"),
        ((key, key, None), key, "no BEGIN CERTIFICATE"),
        ((certificate, certificate, None), certificate, "no BEGIN PRIVATE KEY"),
        ((der, key, None), der, "UTF-8|BEGIN CERTIFICATE"),
        ((cut, key, None), cut, "no PEM certificate"),
        ((certificate, cut_key, None), cut_key, "no PEM private key"),
        ((certificate, key, cut), cut, "no PEM certificate"),
        ((certificate, key, key), key, "no BEGIN CERTIFICATE"),
        ((certificate, made.client_key, None), made.client_key, "does not belong"),
        ((certificate, locked, None), locked, "encrypted"),
        ((certificate, old_locked, None), old_locked, "encrypted"),
    ]:
        with pytest.raises(TlsFileError, match=reason) as caught:
            tls.server_context(arguments[0], private_key=arguments[1], client_ca=arguments[2])
        assert caught.value.path == str(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert isinstance(caught.value, PermanentError)
