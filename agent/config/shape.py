"""What may stand at a key: the type annotations of the settings, read once into plain values.

The loader, the documentation and `print-config` all work on shapes, so that a setting is described
in one place: its annotation. The grammar is small on purpose: text, numbers, booleans, Literal,
Secret, a kind, a list, a mapping by name, a section (dataclass), and unions of them.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard, Union

from agent.config.kinds import RawSection, TextKind
from agent.model.secret import Secret

if TYPE_CHECKING:
    from msgspec import Meta

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Is what `Meta` says of a value; the lengths of a secret are in bytes of UTF-8."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    words: str | None = None
    example: str | None = None
    description: str | None = None
    gloss: str | None = None

    @property
    def number_words(self) -> str:
        """The bounds of a number, " from 1 to 60"; "" where there is none."""
        if self.ge is not None and self.le is not None:
            return f" from {self.ge:g} to {self.le:g}"
        limits = (
            ("at least", self.ge),
            ("more than", self.gt),
            ("at most", self.le),
            ("less than", self.lt),
        )
        said = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        return f", {said}" if said else ""

    def length_words(self, unit: str) -> str:
        """The bounds of a length, " of 1 to 32 characters"; "" where there is none."""
        if self.min_length is not None and self.max_length is not None:
            return f" of {self.min_length} to {self.max_length} {unit}"
        if self.min_length is not None:
            return f" of at least {self.min_length} {unit}"
        if self.max_length is not None:
            return f" of at most {self.max_length} {unit}"
        return ""

    def admit_number(self, number: float) -> bool:
        """Tell whether a number is within the bounds."""
        return (
            (self.ge is None or number >= self.ge)
            and (self.gt is None or number > self.gt)
            and (self.le is None or number <= self.le)
            and (self.lt is None or number < self.lt)
        )

    def admit_length(self, length: int) -> bool:
        """Tell whether a length is within the bounds."""
        return (self.min_length is None or length >= self.min_length) and (
            self.max_length is None or length <= self.max_length
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Is one type of value that is written as a text."""

    type: Literal["choice", "boolean", "integer", "number", "text", "secret"]
    choices: tuple[str, ...] = ()
    kind: TextKind | None = None
    bounds: Bounds = Bounds()

    @property
    def words(self) -> str:
        """What is expected."""
        if self.bounds.words is not None and self.type != "choice":
            return self.bounds.words
        if self.kind is not None:
            return self.kind.words
        if self.type == "integer":
            return f"a whole number{self.bounds.number_words}"
        if self.type == "number":
            return f"a number{self.bounds.number_words}"
        if self.type == "secret":
            return f"a secret{self.bounds.length_words('bytes')}"
        if self.bounds.pattern is not None:
            return f"a text that matches {self.bounds.pattern}"
        return f"a text{self.bounds.length_words('characters')}"

    def convert(self, text: str) -> str | bool | int | float:
        """Return the value that a text stands for.

        Raises:
            ValueError: it stands for none; says what is wrong beyond `words`, or nothing.
        """
        if self.type == "choice":
            if text in self.choices:
                return text
        elif self.type == "boolean":
            if text.lower() in {"true", "false"}:
                return text.lower() == "true"
        elif self.type == "integer":
            if _INTEGER.fullmatch(text) and self.bounds.admit_number(int(text)):
                return int(text)
        elif self.type == "number":
            if _NUMBER.fullmatch(text):
                number = float(text)
                if math.isfinite(number) and self.bounds.admit_number(number):
                    return number
        else:
            return self._convert_text(text)
        raise ValueError

    def _convert_text(self, text: str) -> str:
        if "\n" in text or "\r" in text:
            raise ValueError("it has more than one line")
        if not self.bounds.admit_length(len(text)):
            raise ValueError(f"it has {len(text)} characters")
        if self.bounds.pattern is not None and re.search(self.bounds.pattern, text) is None:
            raise ValueError
        return text if self.kind is None else self.kind.accept(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Is what may stand at one key.

    `leaves` are tried in their order; `items` is the shape of a list's items, kept in a
    `container`; `values` that of a mapping's values; `section` a dataclass. `optional` means that
    null is None.
    """

    leaves: tuple[Leaf, ...] = ()
    items: Shape | None = None
    container: type[tuple[Any, ...]] | type[list[Any]] = tuple
    values: Shape | None = None
    section: type[Any] | None = None
    raw: bool = False
    optional: bool = False
    bounds: Bounds = Bounds()

    @property
    def is_secret(self) -> bool:
        """Whether the value must not be shown."""
        return any(leaf.type == "secret" for leaf in self.leaves)

    @property
    def choices(self) -> tuple[str, ...]:
        """Every word that may stand here as it is."""
        return tuple(choice for leaf in self.leaves for choice in leaf.choices)

    @property
    def words(self) -> str:
        """What is expected, in words."""
        words = list(self.choices)
        for leaf in self.leaves:
            if leaf.type == "boolean":
                words += ["true", "false"]
            elif leaf.type != "choice":
                words.append(leaf.words)
        if self.items is not None:
            of = "sections" if self.items.section else f"values, each {self.items.words}"
            words.append(f"a list{self.bounds.length_words('items')} of {of}")
        if self.values is not None:
            words.append("a section of names")
        if self.section is not None:
            words.append("a section")
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Is one field of a section; `default` means nothing where `required`."""

    name: str
    shape: Shape
    required: bool
    default: object

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the file that fill this field, the usual one first."""
        if self.shape.is_secret:
            return (f"{self.name}_file", self.name)
        return (self.name,)


def settings_of(section: type[Any]) -> tuple[Setting, ...]:
    """Return the settings of a dataclass in the order of its fields.

    Raises:
        TypeError: an annotation is outside the grammar; a fault of the program.
    """
    hints = typing.get_type_hints(section, include_extras=True)
    settings = []
    for field in dataclasses.fields(section):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        settings.append(
            Setting(
                name=field.name,
                shape=shape_of(hints[field.name]),
                required=default is dataclasses.MISSING,
                default=default,
            )
        )
    return tuple(settings)


def shape_of(annotation: object, *, bounds: Bounds = Bounds()) -> Shape:
    """Return the shape that an annotation describes.

    Raises:
        TypeError: it is outside the grammar; a fault of the program.
    """
    kind: TextKind | None = None
    if typing.get_origin(annotation) is Annotated:
        annotation, *extras = typing.get_args(annotation)
        for extra in extras:
            if _is_meta(extra):
                bounds = _with_meta(bounds, extra)
            elif isinstance(extra, TextKind):
                kind = extra
    if kind is not None:
        return Shape(leaves=(Leaf(type="text", kind=kind, bounds=bounds),), bounds=bounds)
    if typing.get_origin(annotation) in {Union, types.UnionType}:
        return _union(typing.get_args(annotation), bounds=bounds)
    return _plain_shape(annotation, bounds=bounds)


def _plain_shape(annotation: Any, *, bounds: Bounds) -> Shape:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    leaf_type = _LEAF_TYPES.get(annotation) if isinstance(annotation, type) else None
    if leaf_type is not None:
        return Shape(leaves=(Leaf(type=leaf_type, bounds=bounds),), bounds=bounds)
    if origin is Literal and all(isinstance(choice, str) for choice in arguments):
        return Shape(leaves=(Leaf(type="choice", choices=arguments, bounds=bounds),), bounds=bounds)
    if origin is list or (origin is Sequence and arguments):
        return Shape(items=shape_of(arguments[0]), container=list, bounds=bounds)
    if origin is tuple and arguments[1:] == (...,):
        return Shape(items=shape_of(arguments[0]), bounds=bounds)
    if origin in {dict, Mapping} and arguments[0] is str:
        return Shape(values=shape_of(arguments[1]), bounds=bounds)
    if annotation is RawSection:
        return Shape(raw=True, bounds=bounds)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return Shape(section=annotation, bounds=bounds)
    raise TypeError(f"no setting can have the type {annotation!r}")


_LEAF_TYPES: Mapping[type[Any], Literal["boolean", "integer", "number", "text", "secret"]] = (
    types.MappingProxyType(
        {bool: "boolean", int: "integer", float: "number", str: "text", Secret: "secret"}
    )
)


def _union(alternatives: Sequence[object], *, bounds: Bounds) -> Shape:
    shape = Shape(bounds=bounds)
    for alternative in alternatives:
        if alternative is types.NoneType:
            shape = dataclasses.replace(shape, optional=True)
            continue
        one = shape_of(alternative, bounds=bounds)
        changes: dict[str, Any] = {"leaves": shape.leaves + one.leaves}
        if one.items is not None:
            changes |= {"items": one.items, "container": one.container}
        if one.values is not None:
            changes["values"] = one.values
        if one.section is not None:
            changes["section"] = one.section
        shape = dataclasses.replace(shape, **changes)
    return shape


def _is_meta(extra: object) -> TypeGuard[Meta]:
    """Tell whether an annotation's extra is a Meta.

    Whoever wrote one has imported msgspec; a plugin without bounds saves its child 2 MiB.
    """
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and isinstance(extra, msgspec.Meta)


def _with_meta(bounds: Bounds, meta: Meta) -> Bounds:
    if meta.multiple_of is not None or meta.tz is not None:
        raise TypeError("multiple_of and tz are not supported for settings")
    extra = meta.extra or {}
    said: dict[str, Any] = {
        "ge": meta.ge,
        "gt": meta.gt,
        "le": meta.le,
        "lt": meta.lt,
        "min_length": meta.min_length,
        "max_length": meta.max_length,
        "pattern": meta.pattern,
        "description": meta.description,
        "example": str(meta.examples[0]) if meta.examples else None,
        "words": extra.get("words"),
        "gloss": extra.get("gloss"),
    }
    return dataclasses.replace(
        bounds, **{name: value for name, value in said.items() if value is not None}
    )
