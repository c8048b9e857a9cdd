"""algo.yaml, as integrators write it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import (
    EnvironmentVariable,
    HealthCheck,
    Manifest,
    PackageType,
    Port,
    Resources,
)
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.manifest import parse

LEAST = "name: n\nversion: 1.10\nimage: image.tar\n"


def problems(text: str) -> list[str]:
    with pytest.raises(PackageRefused) as refused:
        parse(text.encode())
    return list(refused.value.problems)


def test_the_least_that_is_needed_is_an_image_package_without_wishes():
    assert parse(LEAST.encode()) == Manifest(
        name="n", version="1.10", type=PackageType.IMAGE, member="image.tar"
    )


def test_everything_that_can_be_said_is_read():
    text = """\
name: 人体结构化
version: "2.0"
provider: EXAMPLE
type: image
image: ./images/image.tar.gz
env:
  - {name: AUTH_SERVER_ADDR, value: ""}
  - {name: THREADS, value: 4}
  - {name: EMPTY}
command: [/app/run, --model, "a b"]
ports:
  - {container_port: 8080, host_port: 18080}
  - {container_port: 53, protocol: udp}
health:
  command: [/app/ok]
  interval_seconds: 5
  timeout_seconds: 2.5
  start_seconds: 60
  retries: 2
resources: {cpus: 1.5, memory_gib: 0.5, shared_memory_gib: 0.25, accelerators: 2}
licence_path: /app//./licence.dat
read_only_root: true
"""
    assert parse(text.encode()) == Manifest(
        name="人体结构化",
        version="2.0",
        provider="EXAMPLE",
        type=PackageType.IMAGE,
        member="images/image.tar.gz",
        env=(
            EnvironmentVariable(name="AUTH_SERVER_ADDR", value=""),
            EnvironmentVariable(name="THREADS", value="4"),
            EnvironmentVariable(name="EMPTY", value=""),
        ),
        command=("/app/run", "--model", "a b"),
        ports=(
            Port(container_port=8080, host_port=18080),
            Port(container_port=53, protocol="udp"),
        ),
        health=HealthCheck(
            command=("/app/ok",),
            interval_seconds=5.0,
            timeout_seconds=2.5,
            start_seconds=60.0,
            retries=2,
        ),
        resources=Resources(
            cpus=1.5,
            memory_bytes=512 * 1024**2,
            shared_memory_bytes=256 * 1024**2,
            accelerators=2,
        ),
        licence_path="/app/licence.dat",
        read_only_root=True,
    )


@pytest.mark.parametrize(
    "env",
    [
        "env: [{name: A, value: x=1}, {name: B, value: ''}]",
        "env: {A: x=1, B: }",
        "env: [A=x=1, B=]",
        "env:\n- Name: A\n  Value: x=1\n- Name: B",
    ],
)
def test_env_is_taken_in_every_usual_writing(env):
    assert parse((LEAST + env).encode()).env == (
        EnvironmentVariable(name="A", value="x=1"),
        EnvironmentVariable(name="B", value=""),
    )


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("8080", Port(container_port=8080)),
        ("'80:8080'", Port(container_port=8080, host_port=80)),
        ("8080/UDP", Port(container_port=8080, protocol="udp")),
        ("{container_port: '8080', protocol: TCP}", Port(container_port=8080)),
    ],
)
def test_ports_are_taken_as_docker_writes_them_too(written, port):
    assert parse(f"{LEAST}ports: [{written}]".encode()).ports == (port,)
    assert parse(f"{LEAST}ports: {written}".encode()).ports == (port,)


def test_a_command_in_one_line_is_split_as_a_shell_splits_it():
    assert parse(f"{LEAST}command: run 'a b' $X".encode()).command == ("run", "a b", "$X")


@pytest.mark.parametrize(
    ("text", "kind", "member"),
    [
        ("type: IMAGE\nimage: a.tar", PackageType.IMAGE, "a.tar"),
        ("type: artifact\nartifact: bin/a", PackageType.ARTIFACT, "bin/a"),
        ("artifact: a.bin", PackageType.ARTIFACT, "a.bin"),
    ],
)
def test_the_type_is_said_or_follows_from_the_member(text, kind, member):
    manifest = parse(f"name: n\nversion: 1\n{text}".encode())
    assert (manifest.type, manifest.member) == (kind, member)


def test_unknown_keys_are_kept_by_name_wherever_they_stand():
    text = (
        LEAST
        + """\
abilities: [{id: X}]
resources: {cpus: 1, gpu_type: any}
env: [{name: A, description: x}]
health: {command: a, shell: b}
ports: [{container_port: 1, comment: c}]
"""
    )
    assert parse(text.encode()).unknown_keys == (
        "abilities",
        "env[0].description",
        "ports[0].comment",
        "health.shell",
        "resources.gpu_type",
    )


def test_empty_values_are_as_if_they_were_not_there():
    keys = ("provider", "env", "command", "ports", "health", "resources", "licence_path")
    text = LEAST + "".join(f"{key}:\n" for key in keys)
    assert parse(text.encode()) == parse(LEAST.encode())
    assert parse(f"{LEAST}command: []\nports: []\nenv: []".encode()) == parse(LEAST.encode())


def test_every_problem_is_told_at_once_with_its_key_and_line():
    found = problems("""\
nme: n
version: [1]
type: picture
image: ../image.tar
env: [{name: 1A}, {name: B, value: {}}, {value: x}, C=1, C=2]
command: "a 'b"
ports: [0, 70000, x, 80, 80, {container_port: 1, protocol: icmp}, {host_port: 3}]
health: {interval_seconds: 0}
resources: {cpus: -1, memory_gib: much, accelerators: 1.5}
licence_path: licence.dat
read_only_root: maybe
""")
    said = "\n".join(found)
    for words in (
        "algo.yaml: name: is missing; expected a text of 1 to 256 characters; is nme meant?",
        "line 2: version: expected a text",
        "line 3: type: expected image or artifact",
        "line 5: env[0]: expected a name of at most 128",
        "line 5: env[1]: expected a text of at most 4096 characters for B",
        "line 5: env[2]: expected {name, value}",
        "line 5: env[4]: C is declared twice",
        "line 6: command: expected a list of at most 256 words, or a line",
        "line 7: ports[0]: expected",
        "line 7: ports[1]: expected",
        "line 7: ports[2]: expected",
        "line 7: ports[4]: this port is given twice",
        "line 7: ports[5]: expected",
        "line 7: ports[6]: expected",
        "health.command: is missing",
        "line 8: health.interval_seconds: expected a number from 1 to 3600",
        "line 9: resources.cpus: expected a number above 0",
        "line 9: resources.memory_gib: expected a number",
        "line 9: resources.accelerators: expected a whole number",
        "line 10: licence_path: expected the absolute path",
        "line 11: read_only_root: expected true or false",
    ):
        assert words in said
    assert len(found) == 21


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty; at least name, version and image"),
        ("# nothing\n", "empty"),
        ("- a", 'expected keys such as "name:"'),
        ("hello", 'expected keys such as "name:"'),
        ("name: n\nname: m", "line 2: name: given twice; first on line 1"),
        ("name: !!python/object:os.system x", "tag"),
        ("name: [", "line"),
        ("a: &a [*a]", "stands for itself"),
        ("x: " + "[" * 100 + "]" * 100, "deeper than"),
        ("\n".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]" for n in range(1, 9)), "no &a0"),
        (
            "a0: &a0 [x,x]\n"
            + "\n".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]" for n in range(1, 9)),
            "more than 20000 values",
        ),
        ("---\nname: n\n---\nname: m", "second document"),
        ('name: "a\\0b"', "control character"),
        ("name: n\nversion: 1\ntype: image", "image: is missing; expected the name of the image"),
        ("name: n\nversion: 1", "type: is missing; expected image or artifact"),
        ("name: n\nversion: 1\nimage: a\nartifact: b", "type: is missing"),
        ("name: n\nversion: 1\ntype: image\nimage: a\nartifact: b", "artifact: expected nothing"),
        ("name: n\nversion: 1\nimage: /a", "it may not leave the package"),
        ("name: n\nversion: 1\nimage: ./algo.yaml", "image: expected"),
        ("name: n\nversion: 1\nimage: ./", "image: expected"),
        (f"name: {'n' * 257}\nversion: 1\nimage: a", "it has 257 characters"),
        (f"name: n\nversion: {'1' * 257}\nimage: a", "it has 257 characters"),
        ("name: |\n  a\n  b\nversion: 1\nimage: a", "more than one line"),
        (f"{LEAST}provider: {'p' * 257}", "provider: expected"),
        (f"{LEAST}env: {{A: {'x' * 4097}}}", "at most 4096 characters for A"),
        (f"{LEAST}env: {{{'A' * 129}: x}}", "at most 128"),
        (f"{LEAST}env: {{A-B: x}}", 'not "A-B"'),
        (f"{LEAST}env: x y", "env[0]"),
        (f"{LEAST}env: [{'A=1,' * 513}]", "at most 512"),
        (f"{LEAST}health: curl", "health: expected a section"),
        (f"{LEAST}health: {{command: []}}", "health.command: is missing"),
        (f"{LEAST}resources: 3", "resources: expected a section"),
        (f"{LEAST}licence_path: /etc/../x", "without .."),
        (f"{LEAST}licence_path: /", "licence_path"),
        (f"{LEAST}licence_path: /a/", "licence_path"),
        (f"{LEAST}licence_path: //proc/1/x", "licence_path"),
        (f"{LEAST}licence_path: '/a:/b'", "licence_path"),
        (f"{LEAST}ports: ['80:1', '80:2']", "this port is given twice"),
        (f"{LEAST}command: {{a: b}}", "command: expected"),
        (f"{LEAST}command: [a, [b]]", "command: expected"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(text, problem):
    assert problem in "\n".join(problems(text))


def test_a_file_in_another_encoding_is_refused_with_a_hint():
    with pytest.raises(PackageRefused, match="GBK"):
        parse("name: 人体结构化".encode("gbk"))


def test_a_file_that_is_too_large_is_not_read():
    with pytest.raises(PackageRefused, match="larger than 262144 bytes"):
        parse(LEAST.encode() + b"#" * 300_000)


def test_a_flood_of_problems_makes_a_short_reason():
    with pytest.raises(PackageRefused) as refused:
        parse(f"{LEAST}env: [{'1A=,' * 400}]".encode())
    assert len(refused.value.problems) == 400
    assert refused.value.reason.endswith("and 380 more")


@given(st.text() | st.binary())
def test_nothing_but_a_refusal_comes_of_any_text(text):
    content = text if isinstance(text, bytes) else (LEAST + text).encode("utf-8", "replace")
    with contextlib.suppress(PackageRefused):
        assert parse(content).member == "image.tar"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "value", "command", "cpus", "container_port", "protocol"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("name", "version", "provider", "type", "image", "artifact", "env", "command"),
                *("ports", "health", "resources", "licence_path", "read_only_root", "other"),
            ]
        ),
        _VALUES,
    )
)
def test_any_value_at_any_key_is_read_or_refused(document):
    with contextlib.suppress(PackageRefused):
        manifest = parse(json.dumps(document).encode())
        assert 1 <= len(manifest.name) <= 256
        assert manifest.health is None or manifest.health.command
