"""Reads the expressions of metric math into a tree.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics": operators, functions in upper case,
identifiers that begin with a lower-case letter, lists in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Call", "ExpressionError", "Items", "Name", "Node", "Number", "Operation", "Text", "parse", "walk"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_LEVELS: tuple[dict[str, str], ...] = (
    {"OR": "OR", "||": "OR"},
    {"AND": "AND", "&&": "AND"},
    {sign: sign for sign in ("==", "!=", "<=", ">=", "<", ">")},
    {sign: sign for sign in "+-"},
    {sign: sign for sign in "*/"},
)
"""Operators from the weakest to the strongest, each with its name in the tree."""

_DEEPEST = 50


class ExpressionError(ValueError):
    """The expression cannot be read."""


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Text:
    """A string in quotes."""

    value: str


@dataclass(frozen=True)
class Name:
    """The id of a metric or expression, or a word such as `REPEAT`."""

    value: str


@dataclass(frozen=True)
class Items:
    """A list in brackets."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Operation:
    """An operator between two operands."""

    sign: str
    left: Node
    right: Node


Node = Number | Text | Name | Items | Call | Operation


def parse(expression: str) -> Node:
    """The tree of an expression; raises `ExpressionError` with the place that cannot be read."""
    reader = _Reader(expression)
    node = reader.level(0)
    if reader.token is not None:
        raise ExpressionError(f"unexpected {reader.token!r} in {expression!r}")
    return node


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    below: tuple[Node, ...] = ()
    if isinstance(node, Items):
        below = node.items
    elif isinstance(node, Call):
        below = node.arguments
    elif isinstance(node, Operation):
        below = (node.left, node.right)
    for child in below:
        yield from walk(child)


class _Reader:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._place = 0
        self._depth = 0
        self.token: str | None = None
        self._kind: str | None = None
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._expression, self._place)
        if found is None:
            rest = self._expression[self._place :].strip()
            if rest:
                raise ExpressionError(f"{rest[:20]!r} cannot be read in {self._expression!r}")
            self.token = self._kind = None
            return
        self._place, self._kind = found.end(), found.lastgroup
        self.token = found.group(found.lastgroup or 0)

    def _take(self, expected: str) -> None:
        if self.token != expected:
            raise ExpressionError(
                f"{expected!r} is expected before {self.token or 'the end'!r} in {self._expression!r}"
            )
        self._next()

    def level(self, index: int) -> Node:
        """Operands that the operators of this level and of the stronger ones join, from left to right."""
        if index == len(_LEVELS):
            return self._power()
        node = self.level(index + 1)
        while self.token in _LEVELS[index] and self._kind != "text":
            sign = _LEVELS[index][self.token]
            self._next()
            node = Operation(sign, node, self.level(index + 1))
        return node

    def _power(self) -> Node:
        if self.token == "-":
            self._next()
            return self._nested(lambda: Operation("*", Number(-1.0), self._power()))
        base = self._nested(self._operand)
        if self.token == "^":
            self._next()
            return self._nested(lambda: Operation("^", base, self._power()))
        return base

    def _nested(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError(f"an expression is nested more than {_DEEPEST} levels deep")
        node = read()
        self._depth -= 1
        return node

    def _operand(self) -> Node:
        token, kind = self.token, self._kind
        if token is None:
            raise ExpressionError(f"an operand is missing at the end of {self._expression!r}")
        self._next()
        if kind == "number":
            return Number(float(token))
        if kind == "text":
            return Text(token[1:-1])
        if kind == "word":
            return Call(token, self._list(")")) if self.token == "(" else Name(token)
        if token == "(":
            node = self.level(0)
            self._take(")")
            return node
        if token == "[":
            return Items(self._rest("]"))
        raise ExpressionError(f"unexpected {token!r} in {self._expression!r}")

    def _list(self, end: str) -> tuple[Node, ...]:
        self._next()
        return self._rest(end)

    def _rest(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while self.token != end:
            if items:
                self._take(",")
            items.append(self.level(0))
        self._take(end)
        return tuple(items)
