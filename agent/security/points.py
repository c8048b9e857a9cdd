"""Points of the SM2 curve (GM/T 0003.5) and the arithmetic on them.

The multiplication is gmssl's. It is right for points of the curve and factors from 1 to n-1, and
silently wrong for others, so both are checked here before gmssl sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

COORDINATE_BYTES = 32
FIELD_PRIME = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
COEFFICIENT_A = FIELD_PRIME - 3
COEFFICIENT_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


@dataclass(frozen=True, slots=True)
class Point:
    """Is a point in affine coordinates; the point at infinity is None wherever it may occur."""

    x: int
    y: int

    @property
    def is_on_curve(self) -> bool:
        """Whether both coordinates are in the field and the curve's equation holds.

        The curve has cofactor 1: a point on it also has the right order.
        """
        if not (0 <= self.x < FIELD_PRIME and 0 <= self.y < FIELD_PRIME):
            return False
        right = self.x * self.x * self.x + COEFFICIENT_A * self.x + COEFFICIENT_B
        return (self.y * self.y - right) % FIELD_PRIME == 0

    def to_bytes(self) -> bytes:
        """Return X and Y, 32 bytes each, without the prefix 04."""
        return self.x.to_bytes(COORDINATE_BYTES, "big") + self.y.to_bytes(COORDINATE_BYTES, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> Point:
        """Return the point of 64 bytes X and Y; whether it is on the curve is not looked at."""
        if len(data) != 2 * COORDINATE_BYTES:
            raise ValueError(f"a point has 64 bytes, not {len(data)}")
        return cls(
            int.from_bytes(data[:COORDINATE_BYTES], "big"),
            int.from_bytes(data[COORDINATE_BYTES:], "big"),
        )


GENERATOR = Point(
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)


def multiply(factor: int, point: Point | None) -> Point | None:
    """Return `factor` times `point`.

    Raises:
        ValueError: the factor is not in 1..n-1, or the point is not on the curve.
    """
    if not 1 <= factor < ORDER:
        raise ValueError("a factor must be in 1..n-1")
    if point is None:
        return None
    if not point.is_on_curve:
        raise ValueError("the point is not on the SM2 curve")
    from gmssl import sm2

    # A table of our own, because gmssl's is a dictionary that anybody in this process may change;
    # and no key for the constructor, which would strip every leading 0 and 4 from it.
    table = {
        "n": f"{ORDER:064x}",
        "p": f"{FIELD_PRIME:064x}",
        "g": GENERATOR.to_bytes().hex(),
        "a": f"{COEFFICIENT_A:064x}",
        "b": f"{COEFFICIENT_B:064x}",
    }
    curve = sm2.CryptSM2(private_key="", public_key="", ecc_table=table)
    product = curve._kg(factor, point.to_bytes().hex())  # noqa: SLF001 - gmssl's only multiplication
    return None if product is None else Point.from_bytes(bytes.fromhex(product))


def add(left: Point | None, right: Point | None) -> Point | None:
    """Return the sum of two points of the curve, equal and opposite ones included."""
    if left is None:
        return right
    if right is None:
        return left
    if left.x == right.x:
        if (left.y + right.y) % FIELD_PRIME == 0:
            return None
        slope = (3 * left.x * left.x + COEFFICIENT_A) * pow(2 * left.y, -1, FIELD_PRIME)
    else:
        slope = (right.y - left.y) * pow(right.x - left.x, -1, FIELD_PRIME)
    x = (slope * slope - left.x - right.x) % FIELD_PRIME
    return Point(x, (slope * (left.x - x) - left.y) % FIELD_PRIME)


def negate(point: Point | None) -> Point | None:
    """Return the opposite point."""
    return None if point is None else Point(point.x, -point.y % FIELD_PRIME)
