"""`tensorlogic.compiler.records`: the same as the standard library's dataclasses wherever the compiler uses them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

import pytest

from tensorlogic.compiler import records

Decorator = Callable[..., Any]
BOTH = pytest.mark.parametrize("dataclass", [dataclasses.dataclass, records.dataclass], ids=["standard", "records"])


def point(dataclass: Decorator, **options: bool) -> Any:
    @dataclass(**options)
    class Point:
        x: float
        y: float = 2.0
        tags: list[str] = field(default_factory=list, compare=False)
        secret: int = field(default=0, repr=False, compare=False)

    return Point


@BOTH
@pytest.mark.parametrize("slots", [False, True])
def test_fields_and_defaults(dataclass: Decorator, slots: bool) -> None:
    cls = point(dataclass, slots=slots)
    first, second = cls(1.0), cls(x=1.0, y=3.0, tags=["a"], secret=4)
    assert (first.x, first.y, first.tags, first.secret) == (1.0, 2.0, [], 0)
    assert (second.x, second.y, second.tags, second.secret) == (1.0, 3.0, ["a"], 4)
    assert cls(1.0).tags is not first.tags
    assert replace(first, y=5.0) == cls(1.0, 5.0)
    assert hasattr(first, "__dict__") is not slots
    assert cls.__match_args__ == ("x", "y", "tags", "secret")


@BOTH
def test_wrong_arguments_are_refused(dataclass: Decorator) -> None:
    cls = point(dataclass)
    for _ in range(2):  # the first instance is made by other code than those that follow
        with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
            cls()
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            cls(1.0, z=2)


@BOTH
def test_equality_is_that_of_the_fields_and_the_class(dataclass: Decorator) -> None:
    cls = point(dataclass)
    assert cls(1.0) == cls(1.0, 2.0, ["other"], 5)
    assert cls(1.0) != cls(2.0)
    assert cls(1.0) != (1.0, 2.0)
    assert cls(1.0) != point(dataclass)(1.0)


@BOTH
def test_frozen_classes_hash_by_their_fields(dataclass: Decorator) -> None:
    cls = point(dataclass, frozen=True, slots=True)
    assert len({cls(1.0), cls(1.0, 2.0, ["x"]), cls(2.0)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(point(dataclass)(1.0))


@BOTH
def test_one_field_and_none(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        value: Any

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert One(1) != One(2)
    assert len({One(1), One(1), Nothing(), Nothing()}) == 2


@BOTH
def test_without_equality_an_instance_is_itself_alone(dataclass: Decorator) -> None:
    cls = point(dataclass, frozen=True, eq=False)
    first = cls(1.0)
    assert first != cls(1.0)
    assert len({first, first, cls(1.0)}) == 2


@BOTH
def test_shows_the_fields(dataclass: Decorator) -> None:
    assert repr(point(dataclass)(1.0)).endswith("Point(x=1.0, y=2.0, tags=[])")


@BOTH
def test_what_the_class_defines_stays(dataclass: Decorator) -> None:
    @dataclass(frozen=True)
    class Own:
        value: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    assert Own(1) == Own(2)
    assert (hash(Own(1)), repr(Own(1))) == (7, "own")


@BOTH
def test_a_class_below_another_has_the_fields_of_both(dataclass: Decorator) -> None:
    @dataclass(eq=False, repr=False)
    class Node:
        span: int

    @dataclass(eq=False, repr=False)
    class Name(Node):
        name: str

        def __post_init__(self) -> None:
            self.name = self.name.upper()

    made = [Name(1, "a"), Name(2, "b")]
    assert [(n.span, n.name) for n in made] == [(1, "A"), (2, "B")]
    assert not hasattr(Node(3), "name")


@pytest.mark.parametrize("unmakable", [field(default=1, init=False), field(default=1, kw_only=True)])
def test_fields_that_cannot_be_made_are_refused(unmakable: int) -> None:
    decorator: Decorator = records.dataclass

    @decorator
    class Wrong:
        value: int = unmakable

    with pytest.raises(AssertionError, match=r"Wrong\.value"):
        Wrong()
