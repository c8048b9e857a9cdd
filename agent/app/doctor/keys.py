"""The arithmetic of SM2 and SM3 on this machine, and each platform's key."""

from __future__ import annotations

from agent.app import sm2_probe
from agent.app.doctor.check import Check, Finding, failed, ok, skipped
from agent.config.settings import AcsmpSettings
from agent.errors import AgentError
from agent.security import self_test

SELF_TEST, KEY = "sm2 self-test", "sm2 key"


def self_test_check() -> Check:
    """Return the check of the published examples."""

    def look() -> Finding:
        try:
            self_test.run()
        except AgentError as error:
            return failed(str(error), advice="do not use this build: install the package again")
        return ok("SM2 and SM3 give the published results")

    return Check(name=SELF_TEST, look=look)


def key_check(platform: AcsmpSettings) -> Check:
    """Return the check of one platform's public key and layout."""

    def look() -> Finding:
        if platform.sm2_public_key_file is None:
            return skipped(f"the password travels as {platform.password_format}")
        try:
            probe = sm2_probe.probe(platform, private_key=None)
        except AgentError as error:
            return failed(
                str(error),
                advice="get the platform's public key again from its operator, and put it into "
                f"{platform.sm2_public_key_file}",
            )
        return ok(f"good; fingerprint {probe.fingerprint[:16]}…, layout {probe.layout}")

    return Check(name=KEY, subject=platform.name, look=look)
