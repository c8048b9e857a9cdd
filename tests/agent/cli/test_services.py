"""The command `services`."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from agent.model.workloads import EnvironmentVariable, Manifest, PackageType, Resources
from agent.store.database import Database
from agent.workloads import package_view

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
MANIFEST = Manifest(
    name="person",
    version="1.0.0",
    type=PackageType.IMAGE,
    member="image.tar",
    env=(EnvironmentVariable(name="LOG_LEVEL", value="info"),),
    resources=Resources(accelerators=0),
)


@pytest.fixture
def config(operator):
    """Return the configuration of an agent that has the package p-1."""
    database = Database(operator.folder)
    with database.transaction() as statements:
        statements.execute(
            "INSERT INTO packages (package_id, created_at, generation, manifest, size_bytes)"
            " VALUES ('p-1', ?, ?, ?, 1)",
            (NOON.isoformat(), "a" * 16, package_view.encode_manifest(MANIFEST)),
        )
    database.close()
    return operator.configure()


def test_a_plan_shows_words_and_what_docker_would_be_sent(operator, config):
    asked = operator("services", "plan", "p-1", "--env", "LOG_LEVEL=a=b", "--config", config)
    assert (asked.status, asked.complaints) == (0, [])
    assert "package      p-1: person 1.0.0, 1 replicas, by docker" in asked.out
    assert "  environment  LOG_LEVEL=a=b" in asked.out
    assert '"CapDrop": [' in asked.out


def test_a_plan_as_json_has_an_entry_for_each_replica(operator, config):
    words = ("services", "plan", "p-1", "--replicas", "3", "--json", "--config", config)
    document = operator(*words).document
    assert list(document) == ["package", "runtime", "replicas"]
    assert [each["index"] for each in document["replicas"]] == [0, 1, 2]
    sent = document["replicas"][0]["sent"]["body"]
    assert "LOG_LEVEL=info" in sent["Env"]
    assert sent["Image"] == "computility-agent/package:" + "a" * 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--env", "OTHER=1"], "OTHER: not declared"),
        (["--env", "my-secret"], "--env: write NAME=VALUE"),
        (["--env", "=my-secret"], "--env: write NAME=VALUE"),
        (["--replicas", "65"], "between 1 and 64"),
        (["--licence", "http://u:my-secret@host/l"], "does not say where its licence goes"),
    ],
)
def test_words_that_the_agent_would_refuse_are_bad_input(operator, config, words, said):
    asked = operator("services", "plan", "p-1", *words, "--config", config)
    assert (asked.status, asked.out) == (2, "")
    assert said in asked.err
    assert "my-secret" not in asked.err


def test_a_package_that_is_not_here_is_bad_input(operator, config):
    asked = operator("services", "plan", "p-2", "--config", config)
    assert asked.status == 2
    assert "neither a file nor a package" in asked.err


def test_a_node_that_runs_no_services_says_so(operator, config):
    config = operator.configure(runtime={"kind": "none"})
    asked = operator("services", "plan", "p-1", "--config", config)
    assert asked.status == 1
    assert "runtime.kind is none" in asked.err


def test_a_file_that_is_no_package_is_refused_with_the_reason(operator, config):
    path = operator.folder / "x.tar"
    path.write_bytes(b"no tar at all")
    asked = operator("services", "plan", path, "--config", config)
    assert asked.status == 1
    assert asked.complaints
