"""What the tests of SM2 share: the published vector, key pairs, changed texts, peers' folders."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.security import points, sm2
from agent.security.points import Point

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def vector() -> SimpleNamespace:
    """Return the example of GM/T 0003.5, annex C.2."""
    return SimpleNamespace(
        private_number=0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8,
        x=0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
        y=0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
        ephemeral=0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21,
        plaintext=b"encryption standard",
        c1="04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
        "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0",
        c3="59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766",
        c2="21886ca989ca9c7d58087307ca93092d651efa",
    )


@pytest.fixture(scope="session")
def private_key() -> sm2.PrivateKey:
    return sm2.generate_key_pair()


@pytest.fixture(scope="session")
def public_key(private_key: sm2.PrivateKey) -> sm2.PublicKey:
    return private_key.public_key


@pytest.fixture(scope="session")
def key_with_x_beginning() -> Callable[[str], tuple[sm2.PrivateKey, sm2.PublicKey]]:
    """Return a function that finds a random key pair whose X begins with these hex digits."""

    def find(digits: str) -> tuple[sm2.PrivateKey, sm2.PublicKey]:
        start = sm2.generate_key_pair()
        number, point = start.number, start.public_key.point
        while not f"{point.x:064x}".startswith(digits):
            number += 1
            following = points.add(point, points.GENERATOR)
            assert isinstance(following, Point)
            point = following
        return sm2.PrivateKey(number=number), sm2.PublicKey(point=point)

    return find


def _require_path(path: Path, *, hint: str) -> Path:
    if not path.exists():
        reason = f"{path.name} is not on this machine; {hint}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def sm_crypto_command(require_program: Callable[[str], str]) -> list[str]:
    home = Path(os.environ.get("SM_CRYPTO_HOME", CHECKOUT / ".cache/node/node_modules/sm-crypto"))
    _require_path(home, hint="`make peers` installs it")
    script = Path(__file__).parent / "peers" / "sm_crypto_peer.js"
    return [require_program("node"), str(script), str(home.resolve())]


@pytest.fixture
def bouncy_castle_command(require_program: Callable[[str], str]) -> list[str]:
    jar = _require_path(
        Path("/usr/share/java/bcprov.jar"), hint="the package libbcprov-java brings it"
    )
    require_program("javac")  # java compiles a single file only where the whole JDK is
    source = Path(__file__).parent / "peers" / "BouncyCastlePeer.java"
    return [require_program("java"), "-cp", str(jar), str(source)]


@pytest.fixture
def openssl(require_program: Callable[[str], str]) -> Callable[..., bytes]:
    """Return a function that runs openssl and returns what it printed."""
    program = require_program("openssl")

    def run(*arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [program, *arguments], input=given, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run
