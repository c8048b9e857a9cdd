"""The messages about packages: golden bodies, every spelling, and any JSON at all."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import Digests, Manifest, Package, PackageState, PackageType
from agent.protocols.acsmp import wire, wire_packages
from agent.protocols.acsmp.tolerant import WireError

CODE = "11010800005020000001"
ID = "1101150192508600000120231012203630000102"
SHANGHAI = timezone(timedelta(hours=8))
FIELDS = ["AlgoFilePackageID", "AlgoFilePackageCode", "ComputilityCode", "Url", "MD5", "SHA256",
          "SM3", "Status"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def moment(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)


def package(**changes):
    given_ = {
        "package_id": ID,
        "state": PackageState.DOWNLOADING,
        "created_at": moment("2024-10-10 14:00:00"),
        "progress_at": moment("2024-10-10 14:08:22"),
    }
    return Package(**{**given_, **changes})


MANIFEST = Manifest(name="人体结构化", version="1.0.0", type=PackageType.IMAGE, member="i.tar")
READY = package(
    package_id=ID[:-1] + "1",
    state=PackageState.READY,
    created_at=moment("2023-04-24 23:15:22").astimezone(timezone.utc),
    progress_at=moment("2023-04-24 23:20:00"),
    progress_ratio=0.81,
    error="an old one",
    manifest=MANIFEST,
)


def sent(each):
    encoded = wire.encode_data(wire_packages.device_package(each, zone=SHANGHAI), request_id="r-1")
    return json.loads(encoded)["Data"]


def test_a_push_is_table_f1_with_address_and_digest_of_a1(golden):
    push = wire_packages.decode_push(golden("algo_file_package_request"))

    assert (push.package_id, push.computility_code) == (ID, CODE)
    assert push.url == "http://127.0.0.1:9000/packages/person.tar"
    assert push.digests == Digests(md5="0cc175b9c0f1b6a831c399e269772661")


@pytest.mark.parametrize("name", ["Url", "URL", "url", "FileUrl", "DownloadUrl",
                                  "AlgoFilePackageUrl", "AlgoFilePackageURL"])  # fmt: skip
def test_the_address_is_read_under_each_of_its_names(name):
    push = wire_packages.decode_push({"AlgoFilePackageCode": ID, name: "http://h/p"})
    assert (push.package_id, push.url) == (ID, "http://h/p")


def test_every_digest_is_read_and_checked():
    push = wire_packages.decode_push(
        {"AlgoFilePackageID": ID, "md5": "A" * 32, "SHA256": "b" * 64, "SM3": "C" * 64}
    )
    assert push.digests == Digests(md5="a" * 32, sha256="b" * 64, sm3="c" * 64)
    assert wire_packages.decode_push({"AlgoFilePackageID": ID, "MD5": ""}).digests == Digests()
    for name, value in (("MD5", "a" * 31), ("MD5", "g" * 32), ("SHA256", "a" * 32)):
        with pytest.raises(WireError, match=name):
            wire_packages.decode_push({"AlgoFilePackageID": ID, name: value})


@pytest.mark.parametrize(
    "wrong", ["", None, "a/b", "..", ".hidden", "a" * 65, "算法", "a b", 7, []]
)
def test_an_id_that_is_none_is_refused_with_its_name(wrong):
    with pytest.raises(WireError, match="AlgoFilePackageID"):
        wire_packages.decode_push({"AlgoFilePackageID": wrong})


def test_a_push_shows_no_password():
    push = wire_packages.decode_push({"AlgoFilePackageID": ID, "Url": "http://u:secret@h/p"})
    assert "secret" not in repr(push)


@pytest.mark.parametrize(
    ("status", "state"),
    [(1, "downloading"), ("2", "failed"), (3.0, "ready"), (None, None), ("", None)],
)
def test_the_status_of_a_query_is_a_number_or_its_digits(status, state):
    query = wire_packages.decode_package_query({"Status": status})
    assert (query.state and query.state.value) == state


@pytest.mark.parametrize("status", [0, 4, "RUNNING", True, 1.5])
def test_another_status_is_refused(status):
    with pytest.raises(WireError, match="Status"):
        wire_packages.decode_package_query({"Status": status})


def test_the_query_is_table_f2(golden):
    query = wire_packages.decode_package_query(golden("algo_package_list_request"))
    assert (query.computility_code, query.state) == (CODE, PackageState.READY)


def test_the_packages_are_table_f4(golden):
    struggling = package(progress_ratio=0.81, error="connection lost; trying again")
    failed = package(
        package_id=ID[:-1] + "3",
        state=PackageState.FAILED,
        progress_at=moment("2024-10-10 14:00:00"),
        error="HTTP 404",
    )
    records = [
        wire_packages.device_package(each, zone=SHANGHAI) for each in (READY, struggling, failed)
    ]
    encoded = wire.encode_data(records, request_id="r-1")
    assert json.loads(encoded) == golden("algo_package_list_response")
    assert (
        wire.encode_data(records[0], request_id="r-1")
        == json.dumps(
            golden("algo_package_detail_response"), ensure_ascii=False, separators=(",", ":")
        ).encode()
    )


def test_a_package_whose_algo_yaml_was_not_read_has_no_name():
    assert set(sent(package())) == {"AlgoFilePackageID", "AlgoFilePackageCode", "Status",
                                    "CreatedDate", "ProgressUpdateTime"}  # fmt: skip


def test_progress_is_one_only_when_the_package_is_there():
    assert sent(package(progress_ratio=0.999999))["DownloadProgress"] == 0.9999
    assert sent(package(progress_ratio=0.0))["DownloadProgress"] == 0.0
    assert sent(READY)["DownloadProgress"] == 1.0


def test_an_error_is_cut_to_its_length_and_never_sent_of_a_package_that_is_there():
    failed = package(state=PackageState.FAILED, error="长" * 500)
    assert len(sent(failed)["DownloadErrorMessage"]) == 256
    assert "DownloadErrorMessage" not in sent(READY)


def test_times_stand_in_the_configured_zone():
    utc = wire_packages.device_package(READY, zone=timezone.utc)
    assert utc.created == "2023-04-24 15:15:22"


@given(fields=st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON))
def test_any_json_is_read_or_refused(fields):
    for decode in (wire_packages.decode_push, wire_packages.decode_package_query):
        with contextlib.suppress(WireError):
            decode(fields)


@given(ratio=st.floats(0, 1), state=st.sampled_from(PackageState), error=st.none() | st.text())
def test_whatever_a_package_holds_its_record_stays_within_the_table(ratio, state, error):
    record = sent(package(progress_ratio=ratio, state=state, error=error, manifest=MANIFEST))
    assert 0 <= record["DownloadProgress"] <= 1
    assert (record["DownloadProgress"] == 1.0) >= (state is PackageState.READY)
    assert len(record.get("DownloadErrorMessage", "")) <= 256
