"""Both ways against the SM2 of others, over keys of every beginning."""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from agent.security import sm2
from agent.security.layouts import EVERY_LAYOUT, Layout

pytestmark = pytest.mark.peer

KeyPair = tuple[sm2.PrivateKey, sm2.PublicKey]
# A prefix taken off by its look spoils keys whose X begins so.
BEGINNINGS = ("0", "00", "4", "40", "44", "04")

BOUNCY_CASTLE_KEYS = 1440
SM_CRYPTO_KEYS = 500
OPENSSL_KEYS = 60


class Peer:
    """Asks a peer's program everything at once: one process start for thousands of requests."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def ask(self, requests: Sequence[str]) -> list[str]:
        done = subprocess.run(
            self._command,
            input="".join(f"{request}\n" for request in requests),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers = done.stdout.splitlines()
        assert len(answers) == len(requests)
        return answers

    def key_pairs(self, count: int) -> list[KeyPair]:
        pairs = []
        for answer in self.ask(["keypair"] * count):
            private, public = answer.split()
            pairs.append((sm2.PrivateKey.parse(private.zfill(64)), sm2.PublicKey.parse(public)))
        return pairs


def _to_hex(text: str, layout: Layout) -> str:
    return base64.b64decode(text).hex() if layout.encoding == "base64" else text.lower()


def _check_both_ways(
    peer: Peer, pairs: Sequence[KeyPair], *, point_prefix: bool, shortest_bytes: int
) -> None:
    """Encrypt to the peer and decrypt from it, once with each key, by turns in both orders."""
    layouts = [
        layout for layout in EVERY_LAYOUT if not layout.der and layout.point_prefix == point_prefix
    ]
    assert len(layouts) == 6
    cases = [
        (*pair, layouts[turn % len(layouts)], _draw_text(shortest_bytes))
        for turn, pair in enumerate(pairs)
    ]
    with (
        ThreadPoolExecutor(max_workers=1) as beside,
        # Python multiplies in milliseconds: two processes of ours halve the time of thousands.
        ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as workers,
    ):
        theirs = beside.submit(
            peer.ask,
            [
                f"encrypt {layout.order} {public.to_hex()} {text.hex()}"
                for _, public, layout, text in cases
            ],
        )
        ours = [
            workers.submit(sm2.encrypt, public, text, layout=layout)
            for _, public, layout, text in cases
        ]
        opened_here = [
            workers.submit(sm2.decrypt, private, sealed)
            for (private, *_), sealed in zip(cases, theirs.result(), strict=True)
        ]
        opened_there = peer.ask(
            [
                f"decrypt {layout.order} {private.to_hex()} {_to_hex(sealed.result(), layout)}"
                for (private, _, layout, _), sealed in zip(cases, ours, strict=True)
            ]
        )
        assert opened_there == [text.hex() for *_, text in cases]
        for (_, _, layout, text), opened in zip(cases, opened_here, strict=True):
            expected = Layout(order=layout.order, point_prefix=point_prefix)
            assert opened.result() == sm2.Decrypted(plaintext=text, layout=expected)


def _draw_text(shortest_bytes: int) -> bytes:
    length = shortest_bytes + secrets.randbelow(33 - shortest_bytes)
    return secrets.token_bytes(length)


@pytest.mark.slow
def test_bouncy_castle_and_we_open_each_others_ciphertexts(
    bouncy_castle_command: list[str], key_with_x_beginning: Callable[[str], KeyPair]
) -> None:
    peer = Peer(bouncy_castle_command)
    special = [key_with_x_beginning(digits) for digits in BEGINNINGS for _ in range(8)]
    pairs = peer.key_pairs(BOUNCY_CASTLE_KEYS - len(special)) + special

    _check_both_ways(peer, pairs, point_prefix=True, shortest_bytes=1)


@pytest.mark.slow
def test_sm_crypto_and_we_open_each_others_ciphertexts(
    sm_crypto_command: list[str], key_with_x_beginning: Callable[[str], KeyPair]
) -> None:
    peer = Peer(sm_crypto_command)
    special = [key_with_x_beginning(digits) for digits in BEGINNINGS for _ in range(8)]
    ours = [sm2.generate_key_pair() for _ in range(SM_CRYPTO_KEYS - len(special) - 50)]
    pairs = peer.key_pairs(50) + special + [(key, key.public_key) for key in ours]

    # sm-crypto draws no second number where the key stream is zero, which a text of one byte would
    # meet once in 256; with four bytes it never happens.
    _check_both_ways(peer, pairs, point_prefix=False, shortest_bytes=4)


@pytest.mark.parametrize("command", ["bouncy_castle_command", "sm_crypto_command"])
def test_peers_refuse_what_was_changed_on_its_way(
    command: str, request: pytest.FixtureRequest, private_key: sm2.PrivateKey
) -> None:
    layout = Layout(point_prefix=command == "bouncy_castle_command")
    text = sm2.encrypt(private_key.public_key, b"password", layout=layout)
    changed = text[:-1] + ("0" if text[-1] != "0" else "1")

    answers = Peer(request.getfixturevalue(command)).ask(
        [f"decrypt c1c3c2 {private_key.to_hex()} {one}" for one in (text, changed)]
    )

    assert answers == [b"password".hex(), "refused"]


@pytest.mark.slow
def test_openssl_and_we_open_each_others_ciphertexts(
    openssl: Callable[..., bytes],
    key_with_x_beginning: Callable[[str], KeyPair],
    tmp_path: Path,
) -> None:
    special = [key_with_x_beginning(digits) for digits in BEGINNINGS]
    ours = [sm2.generate_key_pair() for _ in range(OPENSSL_KEYS - len(special))]
    private_file, public_file = str(tmp_path / "private.pem"), str(tmp_path / "public.pem")
    for turn, (private, public) in enumerate(special + [(key, key.public_key) for key in ours]):
        Path(private_file).write_text(
            private.to_sec1_pem() if turn % 2 else private.to_pkcs8_pem(), encoding="ascii"
        )
        Path(public_file).write_text(public.to_pem(), encoding="ascii")
        text = _draw_text(4)
        layout = Layout(der=True, encoding=("hex", "HEX", "base64")[turn % 3])

        sealed = bytes.fromhex(_to_hex(sm2.encrypt(public, text, layout=layout), layout))
        opened = openssl("pkeyutl", "-decrypt", "-inkey", private_file, given=sealed)
        assert opened == text

        theirs = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public_file, given=text)
        assert sm2.decrypt(private, theirs.hex()) == sm2.Decrypted(
            plaintext=text, layout=Layout(der=True)
        )


def test_keys_that_openssl_made_are_read_in_both_forms(openssl: Callable[..., bytes]) -> None:
    for arguments in (
        ("genpkey", "-algorithm", "SM2"),
        ("ecparam", "-name", "SM2", "-genkey"),
        ("ecparam", "-name", "SM2", "-genkey", "-noout"),
    ):
        private_pem = openssl(*arguments)
        public_pem = openssl("pkey", "-pubout", given=private_pem)
        public_der = openssl("pkey", "-pubout", "-outform", "DER", given=private_pem)
        digest = openssl("dgst", "-sha256", "-r", given=public_der)

        key = sm2.PrivateKey.parse(private_pem.decode())

        assert key.public_key == sm2.PublicKey.parse(public_pem.decode())
        assert key.public_key.to_spki() == public_der
        assert key.public_key.to_pem() == public_pem.decode()
        assert digest.decode().startswith(key.public_key.fingerprint)


def test_openssl_finds_our_private_keys_sound(
    openssl: Callable[..., bytes], private_key: sm2.PrivateKey
) -> None:
    for pem in (private_key.to_pkcs8_pem(), private_key.to_sec1_pem()):
        assert b"Key is valid" in openssl("pkey", "-check", "-noout", given=pem.encode())
        assert openssl("pkey", "-pubout", given=pem.encode()).decode() == (
            private_key.public_key.to_pem()
        )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-name", "prime256v1"), "P-256"),
        (("-name", "secp521r1"), "another curve"),
        (("-name", "SM2", "-param_enc", "explicit"), "named_curve"),
    ],
)
def test_keys_of_openssl_that_no_platform_can_use_are_refused(
    arguments: tuple[str, ...], reason: str, openssl: Callable[..., bytes]
) -> None:
    private_pem = openssl("ecparam", *arguments, "-genkey", "-noout")
    public_pem = openssl("ec", "-pubout", given=private_pem)

    with pytest.raises(sm2.Sm2KeyError, match=reason):
        sm2.PublicKey.parse(public_pem.decode())


def test_a_compressed_key_of_openssl_is_refused_with_the_way_out(
    openssl: Callable[..., bytes], public_key: sm2.PublicKey
) -> None:
    pem = openssl(
        "ec", "-pubin", "-conv_form", "compressed", "-pubout", given=public_key.to_pem().encode()
    )

    with pytest.raises(sm2.Sm2KeyError, match="conv_form uncompressed"):
        sm2.PublicKey.parse(pem.decode())
    converted = openssl("ec", "-pubin", "-conv_form", "uncompressed", "-pubout", given=pem)
    assert sm2.PublicKey.parse(converted.decode()) == public_key
