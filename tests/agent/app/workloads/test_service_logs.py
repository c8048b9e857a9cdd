"""Logs that a command reads from the engine itself."""

from __future__ import annotations

import pytest

from agent.app.workloads import service_logs
from agent.config.settings import RuntimeSettings
from agent.errors import NotFoundError, TransientError
from agent.model.workloads import ContainerSpec
from agent.workloads import labels
from runtimes.fake.runtime import FakeRuntime

IDS = ("76079e21-1b8b-4151-b904-6c56a4635d58", "76079e99-1b8b-4151-b904-6c56a4635d58")


@pytest.fixture
def engine():
    one = FakeRuntime()
    one.images.add("image")
    for service_id in IDS:
        for replica in (0, 1):
            one.start(
                ContainerSpec(
                    name=labels.container_name(service_id, replica=replica),
                    image="image",
                    labels={labels.SERVICE: service_id, labels.REPLICA: str(replica)},
                )
            )
    return one


def read(engine, service_id, *, replica=0):
    with service_logs.opened(
        RuntimeSettings(),
        service_id,
        replica=replica,
        tail_lines=10,
        follow=False,
        build_runtime=lambda _: engine,
    ) as chunks:
        return b"".join(chunks)


@pytest.mark.parametrize("service_id", [IDS[0], "76079e21", "76079e2"])
def test_an_id_may_be_cut_short(engine, service_id):
    assert read(engine, service_id, replica=1) == b"started\n"


@pytest.mark.parametrize(
    ("service_id", "replica", "says"),
    [
        ("76079e", 0, f"several services: {IDS[0]}, {IDS[1]}"),
        ("", 0, "several services"),
        ("abc", 0, "no container of a service abc"),
        (IDS[0], 2, "no replica 2; there are: 0, 1"),
        (IDS[0], -1, "no replica -1"),
    ],
)
def test_what_does_not_name_one_container_is_refused(engine, service_id, replica, says):
    with pytest.raises(NotFoundError, match=says):
        read(engine, service_id, replica=replica)


def test_the_engine_is_let_go_at_the_end(engine):
    read(engine, IDS[0])
    with pytest.raises(TransientError, match="closed"):
        engine.list_owned()


def test_an_engine_that_is_not_there_is_said(engine):
    engine.unreachable = "nobody answers"
    with pytest.raises(TransientError, match="nobody answers"):
        read(engine, IDS[0])
