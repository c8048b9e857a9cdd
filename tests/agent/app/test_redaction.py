"""Nothing that names a machine leaves it, and every table keeps its layout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.app import redaction
from agent.app.redaction import Redactor
from collectors.accelerators.blueprint import parse

TABLE = (
    Path(__file__).parents[2] / "collectors/accelerators/blueprint/tables/two-cards.txt"
).read_text(encoding="utf-8")

UUID = "5b2c7f10-9d3e-4a61-8c75-0e9f3b6a1d24"


def redacted(text, **names):
    redactor = Redactor(**names)
    redactor.learn(text)
    return redactor.redact(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GPU 0: A2 (UUID: GPU-{UUID})", UUID),
        (f"<uuid>MIG-{UUID.upper()}</uuid>", UUID.upper()),
        ("\tSerial Number                  : 917GZLE0LB007731\t\t# note", "917GZLE0LB007731"),
        ("Chassis Serial Number : 8842-AC", "8842-AC"),
        ("<serial>1650577001234</serial>", "1650577001234"),
        ("Dev SN : D0BAD7", "D0BAD7"),
        ("Uuid:      GPU-7f10c9d3e4a61b8c", "7f10c9d3e4a61b8c"),
        ('"Unique ID": "0x7f10c9d3e4a61b8c"', "7f10c9d3e4a61b8c"),
        ("VDie ID    : 7AC711D4 20B03704 4A10C8D4 14CC040A D2102003", "7AC711D4 20B03704"),
        ("105W  300W | 49120MiB Disable|   0.0%      A073640519915 |", "A073640519915"),
        ("0000:43:00.0 0 0 0300220107007451 37 0", "0300220107007451"),
        ("link peer 10.23.4.156 up", "10.23.4.156"),
        ("the driver cannot reach 10.23.4.156, error", "10.23.4.156"),
        ("gateway=192.168.100.50:8080", "192.168.100.50"),
        ("fe80::a00:27ff:fe4e:66a1/64", "fe80::a00:27ff:fe4e:66a1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        ("mac 00:1b:21:3c:4d:5e", "00:1b:21:3c:4d:5e"),
        ("mac 00-1B-21-3C-4D-5E", "00-1B-21-3C-4D-5E"),
        ("opened /home/wangxiaoming/models/a.bin", "wangxiaoming"),
        ("on ai-box-17.example.cn now", "ai-box-17"),
        ("hostname: secret-box", "secret-box"),
        ("user: zhangwei", "zhangwei"),
        ("<process_name>/usr/bin/trainer</process_name>", "trainer"),
        ("Process id:712004  Process name:heat_check        Process memory(MB):2048", "heat_check"),
        ("        Process ID  : 21180\n            Type : C\n   Name : /root/memhog", "memhog"),
        (json.dumps({"nvmlDeviceGetSerial(0)": {"code": 0, "value": "X42"}}), "X42,"),
        (json.dumps({"acme_get_sn(0)": {"code": 0, "value": "QT77Z1"}}), "QT77Z1"),
        (json.dumps({"get_card": {"sn": 7700112233}}), "7700112233"),
        (json.dumps({"board": {"uuid": ["71d1acc2"]}}), "71d1acc2"),
        ("name, serial, temp\nA2, 88Z123, 40", "88Z123"),
    ],
)
def test_what_names_a_machine_or_a_person_is_gone(text, secret):
    found = redacted(text, host_names=["ai-box-17"], user_names=["wangxiaoming"])
    assert secret not in found
    assert len(found) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "npu-smi 22.1.4.2                 Version: 22.1.4.2",
        "Driver Version : 5.1.34.90",
        "| EFSMI V1.3.1.202   Driver Ver 1.3.7.15 |",
        '"driver_version": "1.3.7.15"',
        "<vbios_version>92.00.36.00.01</vbios_version>",
        "Innerversion=V100R002C20SPC001B300",
        "00000000:3B:00.0  0000:af:00.0",
        "0001:0016:0022.ce3002",
        "12:34:56 2026-01-01 00:00:00",
        "Serial Number : N/A",
        "UUID : [N/A]",
        "| No running processes found in NPU 0      |",
        "listening on 127.0.0.1 and ::1",
        '{"memory_total_bytes": 137438953472}',
        "Command line tools are not installed",
        "temperature 41 C, 61.5 W",
    ],
)
def test_what_names_nobody_stays(text):
    assert redacted(text, host_names=["npu", "localhost"], user_names=["root"]) == text


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        (
            "| NPU     Chip   | Process id    | Process name        | Process memory(MB)   |",
            "| 0       0      | 331207        | python3.9           | 12288                |",
            "python3.9",
        ),
        (
            "|  GPU   GI   CI      PID   Type   Process name                  GPU Memory |",
            "|    0   N/A  N/A   20037      C   /opt/x/serve --key 77 a.bin      538MiB |",
            "/opt/x/serve --key 77 a.bin",
        ),
        (
            "|  Card  MI  PID     Command Line               MLU Memory Usage |",
            "|  0     /   3941    python train.py --host h1        1024 MiB   |",
            "python train.py --host h1",
        ),
        (
            "# gpu   pid  type   sm   command",
            "    0  4711     C    -   memhog ",
            "memhog",
        ),
        (
            "| DevID | PID | Streams | L3 | Memory | Command |",
            "|     0 | 471 |       2 |  0 |   1 MB | trainer |",
            "trainer",
        ),
    ],
)
def test_a_row_of_processes_keeps_its_numbers_and_loses_its_command(header, row, name):
    found = redacted(f"{header}\n{row}\n").split("\n")
    assert found[0] == header
    assert name not in found[1]
    assert re.sub(r"[0-9a-zA-Z]", "", found[1]) == re.sub(r"[0-9a-zA-Z]", "", row)
    before, _, after = row.partition(name)
    assert found[1].startswith(before) or "/ " in before
    assert found[1].endswith(after)


def test_one_name_gets_one_name_in_every_file_and_two_get_two():
    texts = ["SN : 917GZLE0LB007731", "SN : 917GZLE0LB007732", "a 917GZLE0LB007731 b"]
    redactor = Redactor()
    for text in texts:
        redactor.learn(text)
    first, second, again = map(redactor.redact, texts)
    assert first != second
    assert again == f"a {first.removeprefix('SN : ')} b"
    assert redactor.counts == {redaction.SERIAL_NUMBERS: 2}


def test_a_name_without_a_label_is_known_from_another_file():
    redactor = Redactor()
    redactor.learn("| DevID | SN     |\n|     0 | QX7731 |\n")
    assert "QX7731" not in redactor.redact("0 0 QX7731 37")


def test_json_stays_json_and_a_number_a_number():
    text = json.dumps(
        {"cndevGetCardSN(0)": {"code": 0, "value": {"sn": 7700112233, "uuid": "a" * 31 + "7"}}}
    )
    found = json.loads(redacted(text))["cndevGetCardSN(0)"]
    assert found["code"] == 0
    assert isinstance(found["value"]["sn"], int)
    assert found["value"]["sn"] != 7700112233


def test_the_table_is_read_as_before():
    assert parse.table_cards(redacted(TABLE, host_names=["box"], user_names=["pro"])) == (
        parse.table_cards(TABLE)
    )


texts = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            [f"UUID: {UUID}", "SN : Q7731X", "10.1.2.3", "/home/li/x", "00:1b:21:3c:4d:5e", "|"]
        ),
        st.sampled_from(TABLE.split("\n")),
        st.just("| NPU Chip | Process id | Process name |"),
    )
).map("\n".join)


@given(texts)
def test_every_text_keeps_its_width_and_what_is_no_letter_or_digit(text):
    found = redacted(text, host_names=["ai-box-17"], user_names=["li"])
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        assert before == after or (before.isalnum() and after.isalnum())


@given(st.lists(st.from_regex(r"[A-Z0-9]{3}[0-9]{5}", fullmatch=True), min_size=1, unique=True))
def test_different_names_never_become_one(serials):
    texts = [f"Serial Number : {serial}" for serial in serials]
    redactor = Redactor()
    for text in texts:
        redactor.learn(text)
    found = [redactor.redact(text) for text in texts]
    known = [text for text, after in zip(texts, found, strict=True) if text != after]
    assert len(set(found)) == len(found) or len(known) < len(texts)


@given(st.uuids(), st.ip_addresses(), st.text("abcdef0123456789", min_size=12, max_size=12))
def test_no_form_of_an_identity_comes_through(uuid, address, digits):
    mac = ":".join(digits[place : place + 2] for place in range(0, 12, 2))
    secrets = [str(uuid), mac]
    if not (address.is_loopback or address.is_unspecified):
        secrets.append(str(address))
    text = "\n".join(f"peer {secret} seen" for secret in secrets)
    redactor = Redactor()
    redactor.learn(text)
    found = redactor.redact(text)
    categories = {redaction.UUIDS, redaction.MAC_ADDRESSES, redaction.IP_ADDRESSES}
    assert (
        set(redactor.counts) == categories
        if len(secrets) == 3
        else categories - {redaction.IP_ADDRESSES}
    )
    assert len(found) == len(text)


def test_a_megabyte_of_one_line_takes_no_longer_than_it_may():
    row = "| NPU Chip | Process id | Process name |\n| 0 | " + "1 " * 500_000 + "|"
    assert len(redacted(row)) == len(row)
    assert len(redacted("a:" * 500_000)) == 1_000_000
