"""algo.yaml: what a package says of itself.

The standard names three of its keys: `name`, `version` and `env` (T/BAX 0006.5, table F.4 and
4.3.2, which cite T/BAX 0006.2, A.1). The others are ours; those that mean nothing are kept by name.
"""

from __future__ import annotations

import re

from agent.config import yaml_source
from agent.config.findings import Findings, quoted
from agent.config.nodes import Listing, Node, Nothing, Section, Text
from agent.errors import ConfigProblem
from agent.model.workloads import (
    EnvironmentVariable,
    HealthCheck,
    Manifest,
    PackageType,
    Port,
    Resources,
)
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.fields import Fields, whole_number
from agent.workloads.package_format.names import clean_name

MANIFEST_NAME = "algo.yaml"
LARGEST_MANIFEST_BYTES = 256 * 1024

_LONGEST_NAME = 256  # table F.4, AlgoPackageName and AlgoPackageVersion
_LONGEST_PROVIDER = 256
_LONGEST_MEMBER = 1024
_LONGEST_VARIABLE = 128  # table F.7
_LONGEST_VALUE = 4096
_MOST_VARIABLES = 512
_MOST_PORTS = 64
_HIGHEST_PORT = 65535
_BYTES_PER_GIB = 1024**3
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORT = re.compile(r"(?:([0-9]{1,5}):)?([0-9]{1,5})(?:/(tcp|udp))?", re.IGNORECASE)
_VARIABLE_WORDS = "{name, value} with a name of letters, digits and _"
_PORT_WORDS = "{container_port, host_port, protocol} with ports from 1 to 65535"


def parse(text: bytes) -> Manifest:
    """Return what an algo.yaml says.

    Raises:
        PackageRefused: it cannot be used; `problems` says everything that is wrong with it.
    """
    if len(text) > LARGEST_MANIFEST_BYTES:
        raise PackageRefused(f"{MANIFEST_NAME} is larger than {LARGEST_MANIFEST_BYTES} bytes")
    findings = Findings(MANIFEST_NAME)
    root = yaml_source.parse(
        text, findings=findings, least="name, version and image", example='keys such as "name:"'
    )
    manifest = None
    if root is not None:
        manifest = _manifest(Fields(root, path="", findings=findings), findings=findings)
    problems = findings.error().problems
    if problems or manifest is None:
        raise PackageRefused(*map(_in_words, problems))
    return manifest


def _in_words(problem: ConfigProblem) -> str:
    place = f" line {problem.line}" if problem.line is not None else ""
    key = f" {problem.key}" if problem.key else ""
    return (
        f"{MANIFEST_NAME}{place}:{key}: {problem.message}"
        if key
        else (f"{MANIFEST_NAME}{place}: {problem.message}")
    )


def _manifest(fields: Fields, *, findings: Findings) -> Manifest | None:
    name = _required(fields, "name", longest=_LONGEST_NAME)
    version = _required(fields, "version", longest=_LONGEST_NAME)
    provider = fields.text("provider", longest=_LONGEST_PROVIDER)
    kind = _type(fields)
    member = _member(fields, kind)
    unknown: list[str] = []
    env = _variables(fields, unknown, findings=findings)
    command = fields.words("command")
    ports = _ports(fields, unknown, findings=findings)
    health = _health(fields, unknown)
    resources = _resources(fields, unknown)
    # Both spellings of the word are about equally common.
    licence_path = fields.container_path("licence_path") or fields.container_path("license_path")
    read_only_root = fields.truth("read_only_root") or False
    if name is None or version is None or kind is None or member is None:
        return None
    return Manifest(
        name=name,
        version=version,
        type=kind,
        member=member,
        provider=provider,
        env=env,
        command=command,
        ports=ports,
        health=health,
        resources=resources,
        licence_path=licence_path,
        read_only_root=read_only_root,
        unknown_keys=(*fields.unknown_keys, *unknown),
    )


def _required(fields: Fields, key: str, *, longest: int) -> str | None:
    if not fields.has(key):
        fields.missing(key, f"a text of 1 to {longest} characters")
        return None
    return fields.text(key, longest=longest)


def _type(fields: Fields) -> PackageType | None:
    """Return the type; where it is not given, the member that is given says it."""
    node = fields.node("type")
    if node is None:
        given = [kind for kind in PackageType if fields.has(kind.value)]
        if len(given) == 1:
            return given[0]
        fields.missing("type", "image or artifact")
        return None
    word = node.text.lower() if isinstance(node, Text) else ""
    for kind in PackageType:
        if kind.value == word:
            return kind
    fields.wrong("type", "image or artifact")
    return None


def _member(fields: Fields, kind: PackageType | None) -> str | None:
    members = {one: fields.text(one.value, longest=_LONGEST_MEMBER) for one in PackageType}
    if kind is None:
        return None
    what = "image archive" if kind is PackageType.IMAGE else "artifact"
    expected = f"the name of the {what} in the package"
    for other in PackageType:
        if other is not kind and fields.has(other.value):
            fields.wrong(other.value, f"nothing here in a package of type {kind.value}")
    written = members[kind]
    if written is None:
        if not fields.has(kind.value):
            fields.missing(kind.value, expected)
        return None
    try:
        member = clean_name(written, what=MANIFEST_NAME)
    except PackageRefused:
        fields.wrong(kind.value, expected, detail="it may not leave the package")
        return None
    if member in {"", MANIFEST_NAME}:
        fields.wrong(kind.value, expected)
        return None
    return member


def _variables(
    fields: Fields, unknown: list[str], *, findings: Findings
) -> tuple[EnvironmentVariable, ...]:
    """Return `env`: a list of {name, value}, a list of NAME=value, or a mapping."""
    node = fields.node("env")
    if isinstance(node, Section):
        pairs = [(entry.key, entry.value, f"env.{entry.key}") for entry in node.entries]
        if len(pairs) > _MOST_VARIABLES:
            fields.wrong("env", f"at most {_MOST_VARIABLES} variables")
            return ()
    else:
        pairs = []
        for index, item in enumerate(
            fields.items("env", most=_MOST_VARIABLES, expected="variables")
        ):
            path = fields.item_path("env", index)
            pair = _pair(item, path, unknown)
            if pair is None:
                findings.problem(path, f"expected {_VARIABLE_WORDS}", place=item.place)
            else:
                pairs.append((*pair, path))
    variables: dict[str, EnvironmentVariable] = {}
    for name, value, path in pairs:
        if not _VARIABLE.fullmatch(name) or len(name) > _LONGEST_VARIABLE:
            message = (
                f"expected a name of at most {_LONGEST_VARIABLE} letters, digits and _, "
                f"not {quoted(name)}"
            )
            findings.problem(path, message, place=value.place)
        elif name in variables:
            findings.problem(path, f"{name} is declared twice", place=value.place)
        elif isinstance(value, (Listing, Section)) or len(_value(value)) > _LONGEST_VALUE:
            message = f"expected a text of at most {_LONGEST_VALUE} characters for {name}"
            findings.problem(path, message, place=value.place)
        else:
            variables[name] = EnvironmentVariable(name=name, value=_value(value))
    return tuple(variables.values())


def _value(node: Node) -> str:
    return node.text if isinstance(node, Text) else ""


def _pair(item: Node, path: str, unknown: list[str]) -> tuple[str, Node] | None:
    if isinstance(item, Text):  # as docker writes it
        name, _, value = item.text.partition("=")
        return name, Text(place=item.place, text=value)
    if not isinstance(item, Section):
        return None
    # The standard's own JSON writes Name and Value (table F.7).
    by_key = {entry.key.lower(): entry.value for entry in item.entries}
    unknown += [
        f"{path}.{entry.key}"
        for entry in item.entries
        if entry.key.lower() not in {"name", "value"}
    ]
    name_node = by_key.get("name")
    if not isinstance(name_node, Text):
        return None
    return name_node.text, by_key.get("value", Nothing(place=item.place, explicit=False))


def _ports(fields: Fields, unknown: list[str], *, findings: Findings) -> tuple[Port, ...]:
    """Return `ports`: {container_port, host_port, protocol}, or HOST:CONTAINER/PROTOCOL."""
    ports: list[Port] = []
    for index, item in enumerate(fields.items("ports", most=_MOST_PORTS, expected="ports")):
        path = fields.item_path("ports", index)
        port = _port(item, path, unknown, findings=findings)
        if port is None:
            findings.problem(path, f"expected {_PORT_WORDS}", place=item.place)
        elif any(
            port.protocol == other.protocol
            and (
                port.container_port == other.container_port
                or (port.host_port is not None and port.host_port == other.host_port)
            )
            for other in ports
        ):
            findings.problem(path, "this port is given twice", place=item.place)
        else:
            ports.append(port)
    return tuple(ports)


def _port(item: Node, path: str, unknown: list[str], *, findings: Findings) -> Port | None:
    host: Node | None
    if isinstance(item, Text):
        found = _PORT.fullmatch(item.text)
        if found is None:
            return None
        host_text, container_text, protocol = found.groups()
        container: Node | None = Text(place=item.place, text=container_text)
        host = Text(place=item.place, text=host_text) if host_text else None
    elif isinstance(item, Section):
        fields = Fields(item, path=path, findings=findings)
        container, host = fields.node("container_port"), fields.node("host_port")
        node = fields.node("protocol")
        protocol = node.text if isinstance(node, Text) else None
        if node is not None and (protocol or "").lower() not in {"tcp", "udp"}:
            return None
        unknown += fields.unknown_keys
    else:
        return None
    inside = None if container is None else whole_number(container, least=1, most=_HIGHEST_PORT)
    outside = None if host is None else whole_number(host, least=1, most=_HIGHEST_PORT)
    if inside is None or (host is not None and outside is None):
        return None
    return Port(
        container_port=inside,
        host_port=outside,
        protocol="udp" if (protocol or "tcp").lower() == "udp" else "tcp",
    )


def _health(fields: Fields, unknown: list[str]) -> HealthCheck | None:
    section = fields.section("health", expected="a section with a command")
    if section is None:
        return None
    command = section.words("command")
    if command is None and not section.has("command"):
        section.missing("command", "the command that exits 0 while the service can work")
    interval = section.number("interval_seconds", least=1, most=3600)
    timeout = section.number("timeout_seconds", least=1, most=600)
    start = section.number("start_seconds", least=0, most=86400)
    retries = section.whole("retries", least=1, most=100)
    unknown += section.unknown_keys
    return HealthCheck(
        command=command or (),
        interval_seconds=30.0 if interval is None else interval,
        timeout_seconds=10.0 if timeout is None else timeout,
        start_seconds=0.0 if start is None else start,
        retries=3 if retries is None else retries,
    )


def _resources(fields: Fields, unknown: list[str]) -> Resources:
    section = fields.section(
        "resources", expected="a section {cpus, memory_gib, shared_memory_gib, accelerators}"
    )
    if section is None:
        return Resources()
    memory_gib = section.number("memory_gib", least=0.01, most=65536)
    shared_gib = section.number("shared_memory_gib", least=0.01, most=65536)
    resources = Resources(
        cpus=section.number("cpus", least=0, most=4096, above=True),
        memory_bytes=None if memory_gib is None else round(memory_gib * _BYTES_PER_GIB),
        shared_memory_bytes=None if shared_gib is None else round(shared_gib * _BYTES_PER_GIB),
        accelerators=section.whole("accelerators", least=0, most=1024),
    )
    unknown += section.unknown_keys
    return resources
