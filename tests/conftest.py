"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """Return a function that finds a program of somebody else, or skips the test.

    CI prepares all of them, so there a missing one is a failure: a skipped test shows nothing.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"{name} is not on this machine; .ci/run installs it")
        assert path is not None
        return path

    return find


def missing(reason: str) -> None:
    """Skip the test for want of something, or fail it in CI, which has everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
