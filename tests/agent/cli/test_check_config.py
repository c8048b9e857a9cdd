"""The command `check-config`."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("without_cards")

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'


def test_a_good_file_is_called_good(operator):
    path = operator.configure({})
    asked = operator("check-config", "--config", path)
    assert (asked.status, asked.out, asked.err) == (0, f"{path}: good\n", "")


def test_the_example_is_good_once_its_files_are_there(operator, pytestconfig):
    text = (pytestconfig.rootpath / "config.example.yaml").read_text(encoding="utf-8")
    text = text.replace("/etc/computility-agent/device-api.password", "password")
    text = text.replace("/etc/computility-agent/city.sm2.pem", "city.pem")
    assert operator("check-config", "--config", operator.write(text)).status == 0


def test_a_warning_does_not_change_the_status(operator):
    path = operator.configure({"url": "http://acsmp.example"})
    asked = operator("check-config", "--config", path)
    assert (asked.status, asked.out) == (0, f"{path}: good\n")
    assert asked.err.startswith(f"warning: {path}:14:")
    assert "acsmp[0].url: http:// shows" in asked.err
    assert asked.complaints == []


def test_every_problem_is_said_at_once_in_the_order_of_the_file(operator):
    path = operator.write(
        "node: {code: 12, type: BOX}\n"
        "device_api: {password: hunter-2, listen: nowhere}\n"
        "acsmp:\n"
        "  - {name: a b, url: 'ftp://x', sm2_public_key_file: missing.pem}\n"
        "accelerators:\n"
        "  nvidja: {}\n"
        "log: {level: loud}\n"
    )
    asked = operator("check-config", "--config", path)
    assert (asked.status, asked.out) == (2, "")
    head = f"computility-agent: {path}:"
    places = [line.removeprefix(head).split(": ")[:2] for line in asked.err.splitlines()]
    assert places == [
        ["1:14", "node.code"],
        ["1:24", "node.type"],
        ["2:24", "device_api.password"],
        ["2:42", "device_api.listen"],
        ["4:12", "acsmp[0].name"],
        ["4:22", "acsmp[0].url"],
        ["4:54", "acsmp[0].sm2_public_key_file"],
        ["6:3", "accelerators.nvidja"],
        ["7:14", "log.level"],
    ]
    assert "hunter-2" not in asked.err
    assert 'did you mean "nvidia"' in asked.err


def test_a_plugins_own_section_is_checked_by_the_plugin(operator):
    path = operator.write(NODE + "accelerators:\n  nvidia:\n    librari: x\n")
    asked = operator("check-config", "--config", path)
    assert (asked.status, asked.out) == (2, "")
    assert asked.err.startswith(f"computility-agent: plugin nvidia: {path}:4:")
    assert asked.err.endswith(
        ': accelerators.nvidia.librari: unknown setting; did you mean "library"?\n'
    )
    assert len(asked.err.splitlines()) == 1


def test_the_section_of_a_plugin_that_is_off_is_left_alone(operator):
    path = operator.write(NODE + "accelerators:\n  nvidia: {enabled: false, librari: x}\n")
    assert operator("check-config", "--config", path).status == 0


def test_an_absent_card_is_no_fault_of_the_configuration(operator):
    path = operator.write(NODE + "accelerators:\n  nvidia: {enabled: true}\n")
    assert operator("check-config", "--config", path).status == 0


def test_keys_and_certificates_are_tried_and_not_only_found(operator):
    (operator.folder / "garbage.pem").write_text("garbage")
    path = operator.write(
        f"{NODE}"
        "device_api:\n"
        "  password_file: password\n"
        "  tls: {certificate: garbage.pem, private_key: garbage.pem}\n"
        "acsmp:\n"
        "  - name: city\n"
        "    url: https://acsmp.example\n"
        "    sm2_public_key_file: garbage.pem\n"
        "    ca_file: garbage.pem\n"
    )
    asked = operator("check-config", "--config", path)
    assert asked.status == 2
    head = f"computility-agent: {path}:"
    places = [line.removeprefix(head).split(": ")[:2] for line in asked.complaints]
    assert places == [
        ["4:9", "device_api.tls.certificate"],
        ["8:5", "acsmp[0].sm2_public_key_file"],
        ["9:5", "acsmp[0].ca_file"],
    ]
    assert operator("run", "--config", path).status == 2


def test_the_keys_and_certificates_of_centre_and_platforms_are_tried_too(operator):
    (operator.folder / "garbage.pem").write_text("garbage")
    path = operator.write(
        f"{NODE}"
        "centre:\n"
        "  id: 7\n"
        "  users: [{username: city, password_file: password}]\n"
        "  tls: {certificate: garbage.pem, private_key: garbage.pem}\n"
        "  sign:\n"
        "    mode: sm2\n"
        "    public_key_file: garbage.pem\n"
        "  sources:\n"
        "    nodes:\n"
        "      - url: https://192.0.2.21:8123\n"
        "        password_file: password\n"
        "        ca_file: garbage.pem\n"
        "    prometheus:\n"
        "      url: https://192.0.2.30:9090\n"
        "      queries: {node_count: 'count(up)'}\n"
        "      ca_file: garbage.pem\n"
        "monitoring:\n"
        "  - name: region\n"
        "    url: https://monitoring.example\n"
        "    username: centre-7\n"
        "    password_file: password\n"
        "    ca_file: garbage.pem\n"
        "    sign:\n"
        "      mode: sm2\n"
        "      private_key_file: garbage.pem\n"
        "    centre: {name: c, province: 330000, city: 330100, longitude: 120, latitude: 30}\n"
    )
    asked = operator("check-config", "--config", path)
    assert asked.status == 2
    head = f"computility-agent: {path}:"
    places = [line.removeprefix(head).split(": ")[:2] for line in asked.complaints]
    assert [key for _, key in places] == [
        "centre.tls.certificate",
        "centre.sign.public_key_file",
        "centre.sources.nodes[0].ca_file",
        "centre.sources.prometheus.ca_file",
        "monitoring[0].ca_file",
        "monitoring[0].sign.private_key_file",
    ]
    assert [place.split(":")[0] for place, _ in places] == ["5", "8", "13", "17", "23", "26"]
    assert "garbage.pem: " in asked.complaints[1]


def test_a_hash_that_is_none_and_a_map_that_cannot_be_are_named_with_their_lines(operator):
    (operator.folder / "hash").write_text("$scrypt$ln=14,r=8,p=1$short\n")
    path = operator.write(
        f"{NODE}"
        "centre:\n"
        "  id: 7\n"
        "  users:\n"
        "    - {username: region, password_file: password}\n"
        "    - {username: city, password_file: hash}\n"
        "  members: {node_count: a.b, memory_gib: a}\n"
    )
    asked = operator("check-config", "--config", path)
    assert asked.status == 2
    assert [line.removeprefix(f"computility-agent: {path}:") for line in asked.complaints] == [
        "6:24: centre.users[1].password: this is not a hashed password; expected "
        "$scrypt$ln=14,r=8,p=1$salt$hash",
        "7:3: centre.members: a cannot be both a group and a figure",
    ]


def test_each_file_of_conf_d_is_called_good(operator):
    path = operator.configure({})
    (path.parent / "conf.d").mkdir()
    (path.parent / "conf.d" / "10-log.yaml").write_text("log: {level: error}\n")
    asked = operator("check-config", "--config", path)
    assert asked.out == f"{path}: good\n{path.parent}/conf.d/10-log.yaml: good\n"


def test_what_meters_and_plugins_find_names_the_file_of_conf_d(operator):
    path = operator.configure({})
    site = path.parent / "conf.d" / "10-site.yaml"
    site.parent.mkdir()
    site.write_text("meters:\n  - {name: a, kind: modbuss, role: it, host: x}\n")
    asked = operator("check-config", "--config", path)
    assert asked.status == 2
    assert f"{site}:2:" in asked.err
    site.write_text("accelerators:\n  nvidia:\n    toool: x\n")
    asked = operator("check-config", "--config", path)
    assert asked.status == 2
    assert f"{site}:3:12: accelerators.nvidia.toool" in asked.err


def test_meters_that_could_not_be_read_as_they_are_set_are_warned_of(operator):
    meters = [
        {"name": "a", "kind": "modbus", "role": "it"},
        {"name": "b", "kind": "modbus", "role": "it", "host": "192.0.2.1", "profile": "acrel"},
        {"name": "c", "kind": "snmp", "role": "it", "host": "192.0.2.1", "community_file": "none"},
        {"name": "d", "kind": "dlt645", "role": "it", "host": "192.0.2.1", "address": 161},
        {"name": "good", "kind": "modbus", "role": "it", "host": "192.0.2.1", "profile": "sunspec"},
        {"name": "imported", "kind": "csv", "role": "water"},
        {"name": "card", "kind": "accelerator_energy", "role": "it"},
    ]
    checked = operator("check-config", "--config", operator.configure(meters=meters))
    assert (checked.status, checked.complaints) == (0, [])
    warned = [line for line in checked.err.splitlines() if ": meter " in line]
    assert [line.partition(": meter ")[2].partition(":")[0] for line in warned] == list("abcd")
    assert "the setting host is missing" in warned[0]
    assert "there is no profile 'acrel'; there are acrel-adl3000e" in warned[1]
