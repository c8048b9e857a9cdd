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
from agent.protocols.acsmp.identifiers import AcceleratorIdentifiers, Identification

DATA = json.loads(Path(identifiers.__file__).with_name("xpu_types.json").read_text("utf-8"))
TABLES = frozenset(row[3] for table in ("cards", "chips") for row in DATA[table])


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


@pytest.fixture(scope="session")
def names():
    return AcceleratorIdentifiers()


@pytest.mark.parametrize(
    ("product_name", "identifier"),
    [
        ("Tesla T4", "NVIDIA-T4"),
        ("GRID T4-16Q", "NVIDIA-T4"),
        ("GRID T4-4C", "NVIDIA-T4"),
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
    assert names.standard_identifier(card("nvidia", product_name)) == identifier
    assert identifier not in TABLES


# Names as the vendors' tools and libraries give them, and what the tables call them.
LISTED = [
    ("amd", "AMD Instinct MI300X", "AMD-MI300X"),
    ("amd", "Instinct MI300A", "AMD-MI300A"),
    ("amd", "AMD Instinct MI325X OAM", "AMD-MI325X"),
    ("amd", "Aqua Vanjaram [Instinct MI300X]", "AMD-MI300X"),
    ("amd", "AMD Instinct MI350X VF", "AMD-MI350X"),
    ("ascend", "310", "ASCEND-310"),
    ("ascend", "MiniD", "ASCEND-310"),
    ("ascend", "310B4", "ASCEND-310"),
    ("ascend", "Ascend 910A", "ASCEND-910"),
    ("ascend", "910B1", "ASCEND-910"),
    ("ascend", "910B2C", "ASCEND-910"),
    ("ascend", "910ProB", "ASCEND-910"),
    ("ascend", "Ascend910", "ASCEND-910"),
    ("ascend", "Atlas 300I Pro", "Atlas-300I-Pro"),
    ("ascend", "A300I Duo", "Atlas-300I-Duo"),
    ("ascend", "Atlas 300V", "Atlas-300V"),
    ("ascend", "Atlas 300V Pro", "Atlas-300V-Pro"),
    ("axera", "AX650N", "AXERA-AX650"),
    ("axera", "AX630C", "AXERA-AX630"),
    ("axera", "AX620U", "AXERA-AX620u"),
    ("cambricon", "MLU370-S4", "MLU-370-S4/S8"),
    ("cambricon", "MLU370-S8", "MLU-370-S4/S8"),
    ("cambricon", "MLU370-X4", "MLU-370-X4"),
    ("cambricon", "MLU370-X8", "MLU-370-X8"),
    ("cambricon", "MLU290-M5", "MLU-290-M5"),
    ("cambricon", "MLU270-S4", "MLU-270-S4"),
    ("cambricon", "MLU270-F4", "MLU-270-S4"),
    ("cambricon", "MLU220-SOM", "MLU-220-SOM"),
    ("cambricon", "MLU220-M.2", "MLU-220-M.2"),
    ("enflame", "i10", "CLOUDBLAZER-I10"),
    ("enflame", "CloudBlazer I10", "CLOUDBLAZER-I10"),
    ("hygon", "Z100", "HAIGUANG-DCU1"),
    ("hygon", "Z100L", "HAIGUANG-DCU1"),
    ("kunlun", "K200", "KUNLUN-K200"),
    ("kunlun", "R200", "KUNLUN-R200"),
    ("kunlun", "R200-8FS", "KUNLUN-R200"),
    ("kunlun", "R200-VF-5G", "KUNLUN-R200"),
    ("kunlun", "R300", "KUNLUN-R300"),
    ("kunlun", "P800 OAM", "KUNLUN-P800"),
    ("kunlun", "P800 PCIe", "KUNLUN-P800"),
    ("kunlun", "RG800", "KUNLUN-RG800"),
    ("sophgo", "SC3", "BITMAIN-SC3"),
    ("sophgo", "SC5+", "BITMAIN-SC5"),
    ("sophgo", "SC7-HP75", "SOPHGO-SC7-HP75"),
    ("sophgo", "SC11-FP300", "SOPHGO-SC11-FP300"),
    ("sophgo", "BM1682", "BITMAIN-1682"),
    ("sophgo", "1684-SOC", "BITMAIN-1684"),
    ("sophgo", "SM7-32-EN4-23-HX", "SOPHGO-SM7-32-EN4-23-HX"),
]
UNLISTED = [
    ("amd", "Arcturus GL-XL [Instinct MI100]", "AMD-MI100"),
    ("amd", "Instinct MI100", "AMD-MI100"),
    ("amd", "Navi 32 [Radeon RX 7700 XT / 7800 XT]", "AMD-RX-7700-XT/7800-XT"),
    ("amd", "AMD Instinct MI300XHF", "AMD-MI300XHF"),
    ("ascend", "950", "ASCEND-950"),
    ("ascend", "Atlas 200I SoC A1", "Atlas-200I-SoC-A1"),
    ("axera", "AX8850", "AXERA-AX8850"),
    ("cambricon", "MLU370", "MLU-370"),
    ("cambricon", "MLU365-D2", "MLU-365-D2"),
    ("cambricon", "MLU590-M9DG", "MLU-590-M9DG"),
    ("enflame", "S60", "CLOUDBLAZER-S60"),
    ("hygon", "BW1000", "HAIGUANG-BW1000"),
    ("hygon", "K100_AI", "HAIGUANG-K100-AI"),
    ("iluvatar", "Iluvatar BI-V150", "ILUVATAR-BI-V150"),
    ("kunlun", "K100", "KUNLUN-K100"),
    ("metax", "MetaX C500", "METAX-C500"),
    ("metax", "MXC500", "METAX-C500"),
    ("metax", "Mars X201", "METAX-Mars-X201"),
    ("mthreads", "MTT S5000", "MTT-S5000"),
    ("nvidia", "Orin (nvgpu)", "NVIDIA-Orin-nvgpu"),
    ("nvidia", "NVIDIA Jetson Orin Nano Developer Kit", "NVIDIA-Jetson-Orin-Nano-Developer-Kit"),
    ("nvidia", "NVIDIA GeForce RTX 2080 SUPER", "NVIDIA-2080-SUPER"),
    ("nvidia", "NVIDIA GeForce RTX 5070 Ti", "NVIDIA-5070-Ti"),
    ("nvidia", "NVIDIA RTX 4000 SFF Ada Generation", "NVIDIA-RTX-4000-SFF-Ada-Generation"),
    ("nvidia", "GeForce GTX 1070 Ti", "NVIDIA-1070-Ti"),
    ("nvidia", "Tesla P100-PCIE-16GB", "NVIDIA-P100-PCIE-16GB"),
    ("sophgo", "BM1684X", "SOPHGO-BM1684X"),
    ("sophgo", "MARS3-SOC", "SOPHGO-MARS3-SOC"),
    ("vendor", "C500 (64 GB)", "VENDOR-C500-64-GB"),
]


@pytest.mark.parametrize(("vendor", "product_name", "identifier"), LISTED)
def test_every_vendors_listed_products_get_their_identifier(
    names, vendor, product_name, identifier
):
    found = names.identify(card(vendor, product_name))

    assert found == Identification(identifier=identifier, is_listed=True)
    assert identifier in TABLES


@pytest.mark.parametrize(("vendor", "product_name", "identifier"), UNLISTED)
def test_a_product_beyond_the_tables_is_brand_and_model(names, vendor, product_name, identifier):
    found = names.identify(card(vendor, product_name))

    assert found == Identification(identifier=identifier, is_listed=False)
    assert identifier not in TABLES


@pytest.mark.parametrize(
    ("board_name", "chips_on_card", "identifier"),
    [
        (None, 2, "Atlas-300I-Duo"),
        ("IT21DMPB01", 2, "Atlas-300I-Duo"),
        ("Atlas 300I Pro", 1, "Atlas-300I-Pro"),
        ("atlas 300i pro", 1, "Atlas-300I-Pro"),
        ("Atlas 300V", 1, "Atlas-300V"),
        ("Atlas 300V Pro", None, "Atlas-300V-Pro"),
        ("Atlas 300I Duo", 2, "Atlas-300I-Duo"),
        ("Atlas 200I SoC A1", 1, "Atlas-200I-SoC-A1"),
    ],
)
def test_a_310p_is_named_by_its_board_or_by_the_chips_beside_it(
    names, board_name, chips_on_card, identifier
):
    chip = card("ascend", "310P3", board_name=board_name, chips_on_card=chips_on_card)

    assert names.standard_identifier(chip) == identifier


@pytest.mark.parametrize("product_name", ["310P3", "310P", "Ascend 310P3"])
@pytest.mark.parametrize("chips_on_card", [1, None])
@pytest.mark.parametrize("board_name", [None, "IT21DMPB01"])
def test_a_310p_that_may_be_one_of_several_cards_stays_open_with_a_reason(
    names, product_name, chips_on_card, board_name
):
    chip = card("ascend", product_name, board_name=board_name, chips_on_card=chips_on_card)

    found = names.identify(chip)

    assert found.identifier is None
    assert "accelerators.ascend.board" in found.unknown_because


@pytest.mark.parametrize("product_name", ["310", "910B3"])
def test_a_listed_chip_on_a_board_that_is_not_listed_is_named_by_the_chip(names, product_name):
    chip = card("ascend", product_name, board_name="Atlas 300T A2", chips_on_card=4)

    assert names.standard_identifier(chip) == f"ASCEND-{product_name[:3]}"


def test_the_board_counts_before_its_chip(names):
    board = card("nvidia", "310P3", board_name="Tesla T4")
    assert names.standard_identifier(board) == "NVIDIA-T4"


@pytest.mark.parametrize("product_name", [None, "", "  "])
def test_an_unknown_product_has_no_identifier_but_the_plugins_reason(names, product_name):
    plain = names.identify(card("nvidia", product_name))
    reasoned = names.identify(card("nvidia", product_name, unknown={"product_name": "lost"}))

    assert plain == Identification(identifier=None, unknown_because="the product is not known")
    assert reasoned.unknown_because == "lost"


def test_every_row_of_the_tables_is_there_and_names_itself(names):
    assert [row[0] for row in DATA["cards"]] == list(range(1, 48))
    assert [row[0] for row in DATA["chips"]] == list(range(1, 15))
    for row in (*DATA["cards"], *DATA["chips"]):
        assert names.standard_identifier(card("any", row[3])) == row[3]


def test_every_rule_has_one_outcome_and_leads_to_a_row_of_the_tables():
    for vendor in DATA["vendors"].values():
        for rule in vendor["rules"]:
            assert len({"identifier", "brand", "open"} & set(rule)) == 1, rule
            assert rule.get("identifier") in {None, *TABLES}, rule
            assert ("(?P<model>" in rule["name"]) is ("brand" in rule), rule
            assert set(rule) <= {"name", "chips_on_card", "identifier", "brand", "open"}, rule


def test_every_row_is_reached_by_a_name_that_a_vendors_tool_gives():
    names = AcceleratorIdentifiers()
    reached = {names.standard_identifier(card(vendor, name)) for vendor, name, _ in LISTED}
    # NVIDIA's have a table of their own above; Sophgo's modules are all alike.
    elsewhere = {each for each in TABLES if each.startswith(("NVIDIA-", "SOPHGO-SM"))}

    assert TABLES - elsewhere <= reached


def test_an_unlisted_card_is_logged_once(caplog):
    caplog.set_level(logging.INFO, logger=identifiers.__name__)
    names = AcceleratorIdentifiers()

    for _ in range(3):
        names.standard_identifier(card("nvidia", "NVIDIA L4"))
        names.standard_identifier(card("nvidia", "Tesla T4"))

    assert [record.args[2] for record in caplog.records] == ["NVIDIA-L4"]


def test_a_card_that_stays_open_is_logged_once_with_the_reason(caplog):
    caplog.set_level(logging.INFO, logger=identifiers.__name__)
    names = AcceleratorIdentifiers()

    for _ in range(3):
        names.standard_identifier(card("ascend", "310P3", chips_on_card=1))
        names.standard_identifier(card("ascend", "310P3", chips_on_card=2))

    [record] = caplog.records
    assert "300I Pro" in record.getMessage()


@given(vendor=st.sampled_from(sorted(DATA["vendors"])), product_name=st.text(max_size=200))
def test_any_name_gives_a_short_plain_identifier_or_a_reason(names, vendor, product_name):
    found = names.identify(card(vendor, product_name))
    identifier = found.identifier

    assert (identifier is None) is bool(found.unknown_because)
    if identifier is not None:
        assert identifier.isascii()
        assert identifier.isprintable()
        assert " " not in identifier
        assert len(identifier) <= 64
