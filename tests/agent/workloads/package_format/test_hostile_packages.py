"""Hostile and broken packages: each is refused with its reason, and nothing is left behind."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile

import pytest

from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_stream import open_image
from agent.workloads.package_format.inspection import InspectionLimits, inspect
from tests.agent.workloads.package_format import samples
from tests.agent.workloads.package_format.samples import ALGO, Image, header, padded, special, tar

GOOD = samples.docker_image()
IMAGE = GOOD.archive()
PACKAGE = samples.package(IMAGE)
OCI = samples.oci_image()
MIB = 1024**2
LIMITS = InspectionLimits(
    image_bytes=8 * MIB, free_inflated_bytes=MIB, package_members=50, image_members=100
)
END = bytes(1024)
ALGO_MEMBER = header("algo.yaml", size=len(ALGO)) + padded(ALGO)


def with_member(member) -> bytes:
    """Return a good package with one member more."""
    return tar([("algo.yaml", ALGO), ("image.tar", IMAGE), member])


def pax(record: bytes, *, kind: bytes = b"x") -> bytes:
    """Return a package whose second member has a PAX header."""
    extended = header("././@PaxHeader", size=len(record), kind=kind) + padded(record)
    return ALGO_MEMBER + extended + header("image.tar", size=0) + END


def record(key: str, value: bytes) -> bytes:
    """Return a PAX record."""
    body = b" " + key.encode() + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("algo.yaml", ALGO)
    return buffer.getvalue()


def manifest_json(*images) -> bytes:
    return json.dumps(images).encode()


def docker_with(**changes) -> bytes:
    """Return a package whose manifest.json has changes."""
    entry = {**json.loads(GOOD.members["manifest.json"])[0], **changes}
    return samples.package(GOOD.archive(**{"manifest.json": manifest_json(entry)}))


def oci_with_layer(content: bytes, kind: str = "layer.v1.tar") -> bytes:
    """Return a package of an OCI layout whose only layer is this."""
    manifest = json.dumps(
        {
            "config": samples.descriptor(OCI.config, "config.v1+json"),
            "layers": [samples.descriptor(content, kind)] * 2,
        }
    ).encode()
    index = json.dumps({"manifests": [samples.descriptor(manifest, "manifest.v1+json")]}).encode()
    blobs = {samples.blob_name(one): one for one in (content, manifest, OCI.config)}
    return samples.package(Image({**blobs, "index.json": index}, b"", ()).archive())


def image_of(**changes) -> bytes:
    return samples.package(samples.docker_image(**changes).archive())


def in_image(*members) -> bytes:
    """Return a package whose image archive has more members."""
    content = GOOD.archive()
    more = tar(list(members))
    return samples.package(content.rstrip(b"\0") + bytes(-len(content.rstrip(b"\0")) % 512) + more)


def changed_blob(marker: bytes, image: Image = OCI) -> bytes:
    """Return a package of an OCI layout in which the blob with a marker has another content."""
    members = {
        name: one.replace(marker, marker[::-1])
        if isinstance(one, bytes) and "blobs/s" in name
        else one
        for name, one in image.members.items()
    }
    return samples.package(Image(members, b"", ()).archive())


OUTER = {
    "empty": (b"", "is empty"),
    "short": (b"abc", "is no tar: it has 3 bytes"),
    "zeros": (bytes(10240), "without members"),
    "text": (b"hello world\n" * 100, "is no tar"),
    "zip": (zip_file(), "is a ZIP archive"),
    "error-page": (b"<!DOCTYPE html><html>404</html>" * 40, "is a web page"),
    "error-json": (b'{"Code": 404, "Message": "not found"}' * 40, "is JSON"),
    "gzip": (gzip.compress(PACKAGE), "gunzip"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd"),
    "image-alone": (IMAGE, "it is an image archive"),
    "absolute": (with_member(("/etc/passwd", b"x")), "is absolute"),
    "parent": (with_member(("a/../../b", b"x")), "leaves the archive"),
    "symbolic-link": (
        with_member(special("l", tarfile.SYMTYPE, link="algo.yaml")),
        "symbolic link",
    ),
    "link-out": (with_member(special("l", tarfile.SYMTYPE, link="/etc/passwd")), "symbolic link"),
    "hard-link": (with_member(special("l", tarfile.LNKTYPE, link="algo.yaml")), "hard link"),
    "character-device": (with_member(special("d", tarfile.CHRTYPE)), "a device"),
    "block-device": (with_member(special("d", tarfile.BLKTYPE)), "a device"),
    "named-pipe": (with_member(special("p", tarfile.FIFOTYPE)), "a named pipe"),
    "volume-label": (with_member(special("v", b"V")), "of a kind"),
    "twice": (with_member(("image.tar", IMAGE)), 'two members "image.tar"'),
    "twice-written-otherwise": (with_member((".//image.tar", IMAGE)), "two members"),
    "file-and-folder": (with_member(special("image.tar", tarfile.DIRTYPE)), "two members"),
    "newline-in-name": (with_member(("a\nb", b"x")), "control character"),
    "escape-in-name": (with_member(("a\x1b[2Jb", b"x")), "control character"),
    "name-in-gbk": (
        tar([("algo.yaml", ALGO), ("算法.bin", b"")], encoding="gbk", format=tarfile.GNU_FORMAT),
        "not UTF-8",
    ),
    "long-name": (with_member(("a/" * 600 + "b", b"x")), "longer than"),
    "nul-in-pax-name": (pax(record("path", b"image\0.tar")), "control character"),
    "pax-absolute": (pax(record("path", b"/etc/shadow")), "is absolute"),
    "pax-name-not-utf-8": (pax(record("path", b"\xff\xfe")), "not UTF-8"),
    "pax-global-name": (pax(record("path", b"image.tar"), kind=b"g"), "renames every member"),
    "pax-sparse": (pax(record("GNU.sparse.major", b"1")), "sparse"),
    "pax-size-negative": (pax(record("size", b"-5")), "no number of bytes"),
    "pax-size-giant": (pax(record("size", b"9" * 19)), "is cut off"),
    "pax-size-absurd": (pax(record("size", b"9" * 40)), "no number of bytes"),
    "pax-size-of-other-digits": (pax(record("size", "٣".encode())), "no number of bytes"),
    "pax-broken": (pax(b"11 path"), "PAX header that is broken"),
    "pax-broken-length": (pax(b"99 path=a\n"), "PAX header that is broken"),
    "pax-zero-length": (pax(b"0 path=a\n"), "PAX header that is broken"),
    "pax-bomb": (
        ALGO_MEMBER + header("x", size=2 * MIB, kind=b"x") + bytes(2 * MIB) + END,
        "extended header of 2097152 bytes",
    ),
    "long-name-bomb": (
        ALGO_MEMBER + header("x", size=2 * MIB, kind=b"L") + bytes(2 * MIB) + END,
        "extended header",
    ),
    "extended-headers-without-end": (
        ALGO_MEMBER
        + (header("x", size=8, kind=b"x") + padded(b"8 a=bcd\n")) * 20
        + header("image.tar", size=0)
        + END,
        "too many extended headers",
    ),
    "sparse": (ALGO_MEMBER + header("image.tar", size=0, kind=b"S") + END, "a sparse file"),
    "size-negative": (
        ALGO_MEMBER + samples.with_size_field(header("image.tar", size=0), b"\xff" * 12) + END,
        "no number of bytes",
    ),
    "size-giant": (
        ALGO_MEMBER
        + samples.with_size_field(header("image.tar", size=0), b"\x80" + b"\x7f" * 11)
        + END,
        "is cut off",
    ),
    "size-beyond-the-end": (ALGO_MEMBER + header("image.tar", size=5000) + END, "is cut off"),
    "link-with-a-content": (
        ALGO_MEMBER + header("l", size=512, kind=b"2") + bytes(512) + END,
        "with a content",
    ),
    "folder-with-a-content": (
        ALGO_MEMBER + header("d", size=512, kind=b"5") + bytes(512) + END,
        "with a content",
    ),
    "cut-in-a-header": (PACKAGE[: 1024 + 300], "is cut off"),
    "cut-in-a-content": (PACKAGE[: 1024 + 512 + 700], "is cut off"),
    "cut-before-the-end": (PACKAGE.rstrip(b"\0")[: 512 * 2], "is cut off"),
    "second-archive-behind-the-end": (PACKAGE + PACKAGE, "behind its end"),
    "member-behind-a-zero-block": (
        ALGO_MEMBER + bytes(512) + header("image.tar", size=0) + END,
        "behind its end",
    ),
    "check-sum": (ALGO_MEMBER + b"x" + header("image.tar", size=0)[1:] + END, "no valid header"),
    "too-many-members": (
        tar([("algo.yaml", ALGO), *((f"f{index}", b"") for index in range(60))]),
        "more than 50 members",
    ),
    "no-algo": (tar([("image.tar", IMAGE)]), "no algo.yaml"),
    "algo-deeper": (tar([("x/algo.yaml", ALGO)]), 'there is "x/algo.yaml"'),
    "algo-twice": (tar([("algo.yaml", ALGO), ("algo.yaml", ALGO)]), 'two members "algo.yaml"'),
    "algo-is-a-link": (
        tar([("real.yaml", ALGO), special("algo.yaml", tarfile.SYMTYPE, link="real.yaml")]),
        "symbolic link",
    ),
    "algo-is-a-folder": (tar([special("algo.yaml", tarfile.DIRTYPE)]), "no algo.yaml"),
    "algo-too-large": (tar([("algo.yaml", ALGO + b"#" * 300_000)]), "algo.yaml is larger"),
    "algo-not-yaml": (samples.package(IMAGE, algo=b"a: [b"), "algo.yaml line"),
    "image-missing": (tar([("algo.yaml", ALGO)]), 'no file "image.tar"'),
    "image-is-a-folder": (
        tar([("algo.yaml", ALGO), special("image.tar", tarfile.DIRTYPE)]),
        'no file "image.tar"',
    ),
}
ZEROS = samples.tar([("zeros", bytes(6 * MIB))])
IMAGES = {
    "empty": (samples.package(b""), "is no tar"),
    "no-tar": (samples.package(b"hello" * 200), "is no tar"),
    "neither-form": (samples.package(tar([("a", b"b")])), "neither manifest.json"),
    "device": (in_image(special("d", tarfile.CHRTYPE)), "a device"),
    "parent": (in_image(("../x", b"")), "leaves the archive"),
    "absolute-link": (in_image(special("l", tarfile.SYMTYPE, link="/etc/passwd")), "points to"),
    "link-out": (in_image(special("l", tarfile.SYMTYPE, link="../../x")), "leaves the archive"),
    "hard-link-out": (in_image(special("l", tarfile.LNKTYPE, link="../x")), "leaves the archive"),
    "too-many-members": (in_image(*((f"f{n}", b"") for n in range(120))), "more than 100 members"),
    "truncated": (samples.package(IMAGE[: len(IMAGE) // 2]), "is cut off"),
    "json-without-end": (
        in_image(*((f"{n}.json", b"{" + b" " * 500_000) for n in range(10))),
        "bytes of JSON",
    ),
    "no-images": (samples.package(GOOD.archive(**{"manifest.json": b"[]"})), "holds 0 images"),
    "two-images": (
        samples.package(
            GOOD.archive(
                **{"manifest.json": manifest_json(*json.loads(GOOD.members["manifest.json"]) * 2)}
            )
        ),
        "holds 2 images",
    ),
    "manifest-no-json": (samples.package(GOOD.archive(**{"manifest.json": b"hello"})), "not JSON"),
    "manifest-cut": (samples.package(GOOD.archive(**{"manifest.json": b'[{"Co'})), "manifest.json"),
    "manifest-deep": (
        samples.package(GOOD.archive(**{"manifest.json": b"[" * 500_000})),
        "manifest.json",
    ),
    "manifest-of-other-types": (docker_with(Layers="x"), "manifest.json"),
    "manifest-is-a-link-in-a-circle": (
        samples.package(
            GOOD.archive(
                **{"manifest.json": special("manifest.json", tarfile.SYMTYPE, link="manifest.json")}
            )
        ),
        "neither manifest.json",
    ),
    "config-missing": (docker_with(Config="nothing.json"), 'has no "nothing.json"'),
    "config-outside": (docker_with(Config="../../etc/passwd"), "leaves the archive"),
    "config-absolute": (docker_with(Config="/etc/passwd"), "is absolute"),
    "layer-missing": (docker_with(Layers=["a/layer.tar"] * 2), 'no layer "a/layer.tar"'),
    "layer-outside": (docker_with(Layers=["../layer.tar"] * 2), "leaves the archive"),
    "layer-forgotten": (
        docker_with(Layers=json.loads(GOOD.members["manifest.json"])[0]["Layers"][:1]),
        "its config 2",
    ),
    "no-layers": (docker_with(Layers=[]), "has 0 layers"),
    "config-is-a-layer": (
        docker_with(Config=json.loads(GOOD.members["manifest.json"])[0]["Layers"][0]),
        "not JSON",
    ),
    "config-damaged": (
        samples.package(
            GOOD.archive(**{f"{samples.sha256(GOOD.config)}.json": GOOD.config + b" "})
        ),
        "digest is another",
    ),
    "config-huge": (
        samples.package(
            GOOD.archive(**{f"{samples.sha256(GOOD.config)}.json": GOOD.config + b" " * 2 * MIB})
        ),
        "larger than",
    ),
    "config-without-layers": (image_of(rootfs=None), "rootfs"),
    "config-with-a-bad-digest": (
        image_of(rootfs={"diff_ids": ["md5:1", "md5:2"]}),
        "no SHA-256 digest",
    ),
    "other-architecture": (image_of(architecture="s390x"), '"linux/s390x", not for linux/'),
    "no-architecture": (image_of(architecture=None), '"linux/unknown", not for linux/'),
    "other-system": (image_of(os="windows"), "windows"),
    "system-that-moves-the-cursor": (image_of(os="\x1b[2J"), 'for "?[2J'),
    "layer-is-no-tar": (
        samples.package(
            GOOD.archive(**{next(n for n in GOOD.members if "layer" in n): b"x" * 999})
        ),
        "is no tar",
    ),
    "blob-damaged": (changed_blob(b"rootfs"), "digest is another"),
    "blob-missing": (
        samples.package(OCI.archive(**{samples.blob_name(OCI.config): None})),
        "has no",
    ),
    "two-oci-images": (
        samples.package(
            Image(
                {
                    **OCI.members,
                    **samples.oci_image(samples.layer("z")).members,
                    "index.json": json.dumps(
                        {
                            "manifests": [
                                json.loads(image.members["index.json"])["manifests"][0]
                                for image in (OCI, samples.oci_image(samples.layer("z")))
                            ]
                        }
                    ).encode(),
                },
                b"",
                (),
            ).archive()
        ),
        "holds 2 images",
    ),
    "digest-that-leaves": (
        samples.package(
            OCI.archive(
                **{"index.json": b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'}
            )
        ),
        "no SHA-256 digest",
    ),
    "zstd-layer": (oci_with_layer(b"\x28\xb5\x2f\xfd" + bytes(99), "layer.v1.tar+zstd"), "zstd"),
    "zstd-layer-that-says-tar": (oci_with_layer(b"\x28\xb5\x2f\xfd" + bytes(99)), "zstd"),
    "encrypted-layer": (oci_with_layer(b"x" * 999, "layer.v1.tar+gzip+encrypted"), "encrypted"),
    "gzip-bomb-by-ratio": (samples.package(gzip.compress(ZEROS)), "more than 200 times"),
    "larger-than-this-agent-takes": (
        samples.package(samples.tar([("z", bytes(9 * MIB))])),
        "holds more than 8388608",
    ),
    "gzip-bomb-by-size": (
        samples.package(gzip.compress(samples.tar([("z", bytes(20 * MIB))]))),
        "holds more than 8388608",
    ),
    "layer-bomb": (oci_with_layer(gzip.compress(ZEROS)), "more than 200 times"),
    "layer-packed-twice": (oci_with_layer(gzip.compress(gzip.compress(b"x"))), "twice"),
    "gzip-in-gzip": (samples.package(gzip.compress(gzip.compress(IMAGE))), "is no tar"),
    "gzip-cut": (samples.package(gzip.compress(IMAGE)[:-20]), "cut off"),
    "gzip-damaged-sum": (
        samples.package(gzip.compress(IMAGE)[:-8] + b"abcdefgh"),
        "gzip stream is broken",
    ),
    "gzip-with-something-behind": (
        samples.package(gzip.compress(IMAGE) + b"abc"),
        "behind its gzip",
    ),
}


@pytest.mark.parametrize(
    ("content", "reason"),
    [*OUTER.values(), *IMAGES.values()],
    ids=[*OUTER, *(f"image-{name}" for name in IMAGES)],
)
def test_it_is_refused_with_its_reason_and_nothing_is_left_behind(tmp_path, content, reason):
    path = samples.write(tmp_path, content)
    with pytest.raises(PackageRefused) as refused:
        inspect(path, limits=LIMITS)
    assert reason in refused.value.reason
    assert refused.value.reason.isprintable()
    assert len(refused.value.reason) < 400
    assert [one.name for one in tmp_path.iterdir()] == ["package.tar"]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name", [name for name in IMAGES if not name.startswith(("layer-bomb", "layer-packed"))]
)
def test_an_image_that_is_refused_is_not_streamed_either(tmp_path, name):
    path = samples.write(tmp_path, IMAGES[name][0])
    with pytest.raises(PackageRefused):
        # The bombs in layers are left out: they are found when a package is taken.
        list(open_image(path, manifests.parse(ALGO), reference="a:b", limits=LIMITS))


def test_the_good_packages_of_this_corpus_are_taken(tmp_path):
    for content in (PACKAGE, samples.package(OCI.archive()), samples.package(gzip.compress(IMAGE))):
        assert inspect(samples.write(tmp_path, content), limits=LIMITS).image is not None


def test_a_named_pipe_and_a_folder_are_refused_without_waiting(tmp_path):
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(PackageRefused, match="no regular file"):
            inspect(path, limits=LIMITS)
