"""Runs the plugin in child processes, because NVIDIA's binding loads one library for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

RUNNER = Path(__file__).parent / "runner.py"
ROOT = Path(__file__).parents[4]

Answer = dict[str, Any]


@pytest.fixture
def run_plugin() -> Callable[..., list[Answer]]:
    """Return a function that performs steps in a child and returns what each gave.

    Whatever was read, each value that is unknown has a reason, and each reason a value.
    """

    def run(
        *steps: Any, environment: Mapping[str, str] = os.environ, **options: Any
    ) -> list[Answer]:
        done = subprocess.run(
            [sys.executable, "-W", "error", RUNNER, json.dumps({"steps": steps, **options})],
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sys.stderr.write(done.stderr)
        answers = json.loads(done.stdout)
        for step, answer in zip(steps, answers, strict=True):
            if step in ("list", "read"):
                for entry in answer.get("result", ()):
                    assert_reasons(entry)
        return answers

    return run


def assert_reasons(entry: Answer) -> None:
    optional = {"parent_uuid", "board_name", "card", "chips_on_card"}
    unknown = {name for name, value in entry.items() if value is None} - optional
    if entry.get("health") == "unknown":
        unknown.add("health")
    assert set(entry["unknown"]) == unknown, entry
    assert all(entry["unknown"].values()), entry
