"""An engine, or what listens in its place, that answers anything at all."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.errors import PermanentError, TransientError
from agent.model.workloads import ContainerSpec, Mount
from runtimes.docker import readings
from runtimes.docker.runtime import DockerConfig, DockerRuntime, Timeouts

SERVICE = "computility-agent.service"
SPEC = ContainerSpec(
    name="c", image="i", labels={SERVICE: "s"}, devices=("/dev/null",), runtime="nvidia"
)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("c")
)
words = st.one_of(
    st.sampled_from(
        [
            *("Id", "Name", "Config", "State", "HostConfig", "Labels", "Image", "Status"),
            *("Running", "Dead", "Health", "Log", "Output", "Pid", "ExitCode", "StartedAt"),
            *("FinishedAt", "RestartCount", "OOMKilled", "Error", "Tty", "Devices", "Mounts"),
            *("Runtime", "PathOnHost", "Source", "Runtimes", "DockerRootDir", "Components"),
            *("Names", "message", "errorDetail", "error", "Type", "Action", "Actor"),
            *("Attributes", "computility-agent.service"),
        ]
    ),
    st.text(max_size=5),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)
sections = st.one_of(values, st.dictionaries(words, values, max_size=5))
# Near enough to the real thing that what lies behind the first look is reached, too.
documents = st.builds(
    lambda extra, labels: {
        "Id": "a" * 64,
        "Name": "/c",
        **extra,
        "Config": {**_mapping(extra.get("Config")), "Labels": labels},
    },
    st.fixed_dictionaries(
        {},
        optional={
            "Config": sections,
            "State": sections,
            "HostConfig": sections,
            "Name": values,
            "Image": values,
            "RestartCount": values,
        },
    ),
    st.one_of(values, st.just({SERVICE: "s"})),
)
answers = st.one_of(values, documents, st.lists(documents, max_size=2))
bodies = st.one_of(
    answers.map(lambda value: json.dumps(value).encode()), st.binary(max_size=50), st.just(b"")
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 304, 400, 404, 409, 500, 503])


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class Liar:
    """Answers every question with what it was told last."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[tuple[int, bytes]] = [(200, b"{}")]
        self._turn = 0
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                if "/version" in self.path:
                    status, body = 200, b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
                else:
                    status, body = liar.next()
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.send_header("Connection", "close")
                self.end_headers()
                if status not in (204, 304):
                    self.wfile.write(body)
                self.close_connection = True

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

            def address_string(self) -> str:
                return "unix"

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: who hangs up early is part of the game."""

        path = folder / "liar.sock"
        self._server = Server(str(path), Handler)
        self.address = f"unix://{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def tell(self, answers: list[tuple[int, bytes]]) -> None:
        self.answers, self._turn = answers, 0

    def next(self) -> tuple[int, bytes]:
        self._turn += 1
        return self.answers[self._turn % len(self.answers)]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Liar]:
    liar = Liar(tmp_path)
    yield liar
    liar.close()


def questions(runtime: DockerRuntime) -> list[Callable[[], object]]:
    return [
        lambda: runtime.has_image("a:b"),
        lambda: runtime.remove_image("a:b"),
        lambda: runtime.load_image([b"x"], reference="a:b"),
        lambda: runtime.start(SPEC),
        lambda: runtime.recover("c"),
        lambda: runtime.inspect("c"),
        runtime.list_owned,
        lambda: runtime.stop("c", timeout_seconds=0),
        lambda: list(runtime.logs("c", tail_lines=1, follow=False)),
        lambda: runtime.usage("c"),
        lambda: list(runtime.changes()),
    ]


DEEP = b"[" * 20000


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.tuples(statuses, bodies), min_size=1, max_size=3))
@example(told=[(200, DEEP)])
@example(told=[(500, DEEP)])
@example(told=[(500, b"[]")])
@example(told=[(200, b"[{}]")])
@example(told=[(200, b'{"Id": "a", "State": []}')])
def test_whatever_the_engine_answers_only_the_contracts_errors_come(
    liar: Liar, told: list[tuple[int, bytes]]
) -> None:
    liar.tell(told)
    # What waits for a removal that somebody else began does not wait here.
    runtime = DockerRuntime(
        DockerConfig(socket=liar.address), timeouts=Timeouts(call_seconds=20, send_seconds=20)
    )
    reasons = []
    try:
        for question in questions(runtime):
            try:
                question()
            except (TransientError, PermanentError) as error:
                reasons.append(error.reason)
    finally:
        runtime.close()
    assert all(reason and "\n" not in reason for reason in reasons)


@given(document=st.one_of(answers, documents))
def test_a_container_of_any_shape_is_read_or_refused(document: object) -> None:
    if not isinstance(_mapping(document).get("Id") or None, str):
        with pytest.raises(ValueError, match="without an id"):
            readings.inspected(document)
        return
    found = readings.container(readings.inspected(document))
    assert found.container_id
    assert found.restarts >= 0
    for moment in (found.started_at, found.finished_at):
        assert moment is None or moment.tzinfo is not None
    readings.host_paths(readings.inspected(document))


@given(event=st.dictionaries(words, values, max_size=6))
def test_an_event_of_any_shape_is_judged(event: dict[str, Any]) -> None:
    assert readings.is_change(event) in (True, False)


def test_a_mount_of_an_engines_socket_is_never_asked_for(liar: Liar) -> None:
    runtime = DockerRuntime(DockerConfig(socket=liar.address))
    own = liar.address.removeprefix("unix://")
    for source in (own, str(Path(own).parent), "/", "/var/run/../run", "/run/docker.sock"):
        spec = ContainerSpec(
            name="c", image="i", labels={SERVICE: "s"}, mounts=(Mount(source=source, target="/x"),)
        )
        with pytest.raises(PermanentError, match="socket"):
            runtime.start(spec)
    assert liar._turn == 0
    runtime.close()
