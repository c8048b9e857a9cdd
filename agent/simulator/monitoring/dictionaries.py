"""The lists of codes that TC609 prints (annexes D and E), or refers to (GB/T 2260)."""

from __future__ import annotations

# Annex D, in its order.
CLUSTERS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
# Annex E, in its order.
HUBS = ("11", "12", "13", "14", "15", "16", "17", "18")
# GB/T 2260-2007: provinces, autonomous regions, municipalities, special administrative regions.
PROVINCES = tuple(
    f"{first}0000"
    for first in (
        *(11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46),
        *(50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82),
    )
)
# Table A.5-1, row 9: seven kinds of centre, from 0 (general) to 6 (all three mixed).
CENTRE_TYPE_MAXIMUM = 6
NAME_LENGTH = 40
DESCRIPTION_LENGTH = 800
