"""Names of accelerators by tables H.1 and H.2, and beyond them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import Accelerator, AcceleratorKind
from agent.protocols.acsmp import identifiers
from agent.protocols.acsmp.identifiers import AcceleratorIdentifiers

DATA = json.loads(Path(identifiers.__file__).with_name("xpu_types.json").read_text("utf-8"))


def card(vendor, product_name, **more):
    return Accelerator(
        uuid="1",
        vendor=vendor,
        kind=AcceleratorKind.GPU,
        index=0,
        product_name=product_name,
        memory_total_bytes=None,
        **more,
    )


def test_the_board_counts_before_its_chip(names):
    board = card("nvidia", "310P3", board_name="Tesla T4")
    assert names.standard_identifier(board) == "NVIDIA-T4"


@pytest.fixture(scope="session")
def names():
    return AcceleratorIdentifiers()


@pytest.mark.parametrize(
    ("product_name", "identifier"),
    [
        ("Tesla T4", "NVIDIA-T4"),
        ("GRID T4-16Q", "NVIDIA-T4"),
        ("Tesla P4", "NVIDIA-P4"),
        ("Tesla V100-SXM2-32GB", "NVIDIA-V100"),
        ("NVIDIA GeForce RTX 3080", "NVIDIA-3080"),
        ("GeForce RTX 3090", "NVIDIA-3090"),
        ("NVIDIA GeForce RTX 4080", "NVIDIA-4080"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA-4090"),
        ("NVIDIA GeForce RTX 5080", "NVIDIA-5080"),
        ("NVIDIA GeForce RTX 5090", "NVIDIA-5090"),
        ("NVIDIA A2", "NVIDIA-A2"),
        ("NVIDIA A10", "NVIDIA-A10"),
        ("NVIDIA A10-24Q", "NVIDIA-A10"),
        ("NVIDIA A16", "NVIDIA-A16"),
        ("NVIDIA A30 MIG 1g.6gb", "NVIDIA-A30"),
        ("NVIDIA A40-48Q", "NVIDIA-A40"),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA-A100"),
        ("A100-PCIE-40GB", "NVIDIA-A100"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA-A100"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA-A100"),
        ("GRID A100-1-5C", "NVIDIA-A100"),
        ("NVIDIA A800-SXM4-80GB", "NVIDIA-A800"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA-H100"),
        ("NVIDIA H100 NVL", "NVIDIA-H100"),
        ("NVIDIA H200", "NVIDIA-H200"),
        ("NVIDIA H200 MIG 1g.18gb", "NVIDIA-H200"),
        ("NVIDIA H800 PCIe", "NVIDIA-H800"),
    ],
)
def test_a_listed_card_gets_its_identifier(names, product_name, identifier):
    assert names.standard_identifier(card("nvidia", product_name)) == identifier


@pytest.mark.parametrize(
    ("product_name", "identifier"),
    [
        ("NVIDIA L40S", "NVIDIA-L40S"),
        ("NVIDIA L40S-8Q", "NVIDIA-L40S"),
        ("NVIDIA L4", "NVIDIA-L4"),
        ("NVIDIA H20", "NVIDIA-H20"),
        ("NVIDIA A10G", "NVIDIA-A10G"),
        ("NVIDIA A100X", "NVIDIA-A100X"),
        ("NVIDIA GH200 480GB", "NVIDIA-GH200-480GB"),
        ("NVIDIA RTX A6000", "NVIDIA-RTX-A6000"),
        ("NVIDIA GeForce RTX 3080 Ti", "NVIDIA-3080-Ti"),
        ("NVIDIA GeForce RTX 4080 SUPER", "NVIDIA-4080-SUPER"),
        ("NVIDIA GeForce RTX 4090 D", "NVIDIA-4090-D"),
        ("NVIDIA GeForce RTX 3080 Laptop GPU", "NVIDIA-3080-Laptop-GPU"),
    ],
)
def test_an_unlisted_card_is_brand_and_model_and_no_other_card(names, product_name, identifier):
    listed = {row[3] for table in ("cards", "chips") for row in DATA[table]}

    assert names.standard_identifier(card("nvidia", product_name)) == identifier
    assert identifier not in listed


def test_a_vendor_without_rules_still_gets_a_name(names):
    assert names.standard_identifier(card("metax", "C500 (64 GB)")) == "METAX-C500-64-GB"


@pytest.mark.parametrize("product_name", [None, "", "  "])
def test_an_unknown_product_has_no_identifier(names, product_name):
    assert names.standard_identifier(card("nvidia", product_name)) is None


def test_every_row_of_the_tables_is_there_and_names_itself(names):
    assert [row[0] for row in DATA["cards"]] == list(range(1, 48))
    assert [row[0] for row in DATA["chips"]] == list(range(1, 15))
    for row in (*DATA["cards"], *DATA["chips"]):
        assert names.standard_identifier(card("any", row[3])) == row[3]


def test_every_alias_leads_to_a_row_of_the_tables():
    listed = {row[3] for table in ("cards", "chips") for row in DATA[table]}

    for vendor in DATA["vendors"].values():
        assert {identifier for _, identifier in vendor["aliases"]} <= listed


def test_an_unlisted_card_is_logged_once(caplog):
    caplog.set_level(logging.INFO, logger=identifiers.__name__)
    names = AcceleratorIdentifiers()

    for _ in range(3):
        names.standard_identifier(card("nvidia", "NVIDIA L4"))
        names.standard_identifier(card("nvidia", "Tesla T4"))

    assert [record.args[2] for record in caplog.records] == ["NVIDIA-L4"]


@given(product_name=st.text(max_size=200))
def test_any_name_gives_a_short_plain_identifier(names, product_name):
    identifier = names.standard_identifier(card("nvidia", product_name))

    if identifier is not None:
        assert identifier.isascii()
        assert identifier.isprintable()
        assert " " not in identifier
        assert len(identifier) <= 64
