"""Forms in any order, of any size, cut anywhere, and from clients that do as they like."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from agent.protocols.acsmp import multipart
from agent.protocols.acsmp.tolerant import WireError

TYPE = "multipart/form-data; boundary=B"


def read(body, content_type=TYPE):
    return multipart.read_form(io.BytesIO(body), content_type=content_type, file_field="File")


def part(name, content, *, extra=b""):
    disposition = b'Content-Disposition: form-data; name="' + name + b'"'
    return b"--B\r\n" + disposition + extra + b"\r\n\r\n" + content + b"\r\n"


END = b"--B--\r\n"


@given(
    fields=st.dictionaries(
        st.text("abcXYZ_", min_size=1).filter(lambda name: name.lower() != "file"),
        st.text(max_size=50),
        max_size=5,
    ),
    content=st.binary(max_size=2000) | st.sampled_from([b"\r\n--B", b"\r\n--", b"\r\n" * 30]),
    order=st.randoms(use_true_random=False),
)
def test_what_another_program_writes_is_read_in_any_order(fields, content, order):
    parts = [*fields.items(), ("File", ("package.tar", content))]
    order.shuffle(parts)
    body, content_type = encode_multipart_formdata(parts)
    form = read(body, content_type)
    assert form.fields == fields
    assert form.file is not None
    assert form.file.read() == content


@given(body=st.binary(max_size=300), places=st.lists(st.sampled_from([
    b"--B", b"\r\n--B", b"--B--", b"\r\n\r\n", b'Content-Disposition: form-data; name="File"',
    b'; filename="x"', b"\r\n", b" ",
]), max_size=12))  # fmt: skip
def test_any_bytes_are_read_or_refused(body, places):
    whole = b"".join(places) + body
    with contextlib.suppress(WireError):
        form = read(whole)
        assert form.file is None or form.file.read() in whole


@pytest.mark.parametrize("shift", range(-12, 13))
def test_a_boundary_across_two_pieces_is_found(shift):
    content = b"x" * (multipart._PIECE_BYTES - len(part(b"File", b"")) + shift)
    form = read(part(b"File", content) + part(b"MD5", b"1") + END)
    assert form.file.read() == content
    assert form.fields == {"MD5": "1"}


def test_several_boundaries_in_one_piece_and_an_empty_part():
    form = read(b"preamble\r\n" + part(b"a", b"") + part(b"b", b"1") + part(b"file", b"") + END)
    assert form.fields == {"a": "", "b": "1"}
    assert form.file.read() == b""


@pytest.mark.parametrize(
    "name",
    [
        "算法.tar".encode("gbk"),
        "算法.tar".encode(),
        b'a; name=\\"MD5\\".tar',
        b"C:\\dir\\a.tar",
    ],
)
def test_file_names_may_hold_anything(name):
    form = read(part(b"File", b"x", extra=b'; filename="' + name + b'"') + END)
    assert form.file.read() == b"x"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cut off"),
        (b"--B", "headers"),
        (part(b"File", b"x"), "cut off"),
        (b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, "no name"),
        (b"--Bx\r\n" + END, "headers"),
        (part(b"File", b"x") * 2 + END, "two parts"),
        (part(b"a", b"x") * 2 + END, "two parts"),
        (part(b"a", b"\xff") + END, "UTF-8"),
        (part(b"a", b"x" * 5000) + END, "part File"),
        (b"--B\r\nX: " + b"y" * 9000 + b"\r\n\r\n" + END, "headers"),
        (b"".join(part(b"%d" % n, b"") for n in range(40)) + END, "more than 32"),
        (
            part(b"File", b"eA==", extra=b"\r\nContent-Transfer-Encoding: base64") + END,
            "encoded",
        ),
    ],
)
def test_what_is_no_form_is_refused_with_its_reason(body, words):
    with pytest.raises(WireError, match=words):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=",
                                          "multipart/form-data; boundary=" + "x" * 71])  # fmt: skip
def test_a_form_needs_a_boundary(content_type):
    with pytest.raises(WireError, match="boundary"):
        read(END, content_type)


def test_the_spelling_of_the_standard_is_a_form():
    assert multipart.is_form("multipart/form-Data; boundary=B")
    assert not multipart.is_form("application/json")
    assert not multipart.is_form(None)


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "body"
    size = 64 * 1024 * 1024
    with path.open("wb") as file:
        file.write(part(b"MD5", b"1") + part(b"File", b"")[:-2])
        file.truncate(size)
        file.seek(size)
        file.write(b"\r\n" + END)
    tracemalloc.start()
    try:
        with path.open("rb") as body:
            form = multipart.read_form(body, content_type=TYPE, file_field="File")
            length = 0
            while piece := form.file.read(65536):
                length += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > size - 1000
    assert peak < 3 * 1024 * 1024
