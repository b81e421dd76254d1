"""Derived features: small expressions over a row's own columns, declared in the contract beside them.

    derived:
      - name: contacted before
        expression: days_since_order < 999
      - name: calls per year of age
        expression: campaign / age
      - name: single student
        expression: plan == "trial" and country == "pt"

An expression has numbers, texts in quotes, columns by their names (`column("a name")` where it is not a plain word, dots
are), `+ - * /`, comparisons, `in (...)`, `and or not`, and the functions log1p, sqrt, abs, min, max, missing and where(test,
then, otherwise). Of a date there are year, month, day, weekday, hour and days (since 1970), so that `days(paid) - days(placed)` is
a number of days. A comparison with a missing number is false; a number that is not finite becomes missing. Training writes
them into the model's own graph, so that the service computes what training saw.
"""

import ast
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from pushline.data.contract.column import Column
from pushline.data.contract.dates import PARTS

ValueKind = Literal["number", "truth", "category", "text", "date"]
BINARY: Mapping[type[ast.AST], str] = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Div: "Div"}
COMPARISONS: Mapping[type[ast.AST], str] = {
    ast.Lt: "Less",
    ast.LtE: "LessOrEqual",
    ast.Gt: "Greater",
    ast.GtE: "GreaterOrEqual",
    ast.Eq: "Equal",
    ast.NotEq: "NotEqual",
}
FUNCTIONS: Mapping[str, int] = {"log1p": 1, "sqrt": 1, "abs": 1, "min": 2, "max": 2, "missing": 1, "where": 3} | dict.fromkeys(PARTS, 1)


class ExpressionError(ValueError):
    """An expression that means nothing, as a clause for a person."""


class Term(Struct, frozen=True, kw_only=True):
    """One operation of an expression with the terms it works on.

    `operator` is the name of an ONNX operator, a part of a date or one of `number`, `text`, `column`, `log1p`, `missing`, `NotEqual`.
    """

    operator: str
    kind: ValueKind
    arguments: tuple["Term", ...] = ()
    value: float = 0.0
    text: str = ""


def parse_expression(text: str, columns: Mapping[str, Column]) -> Term:
    """The expression as terms; `columns` are the features it may use. Raises ExpressionError."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is not an expression ({error.msg})") from error
    term = _term(tree, columns)
    if term.kind not in ("number", "truth"):
        raise ExpressionError(f"{text!r} is a {term.kind}, not a number or a comparison")
    return term


def columns_of(term: Term) -> set[str]:
    """The columns an expression uses."""
    own = {term.text} if term.operator == "column" else set()
    return own.union(*(columns_of(argument) for argument in term.arguments))


def _term(node: ast.expr, columns: Mapping[str, Column]) -> Term:
    name = _dotted(node)
    if name is not None:
        return _column(name, columns)
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        sides = (_number(node.left, columns), _number(node.right, columns))
        return Term(operator=BINARY[type(node.op)], kind="number", arguments=sides)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return Term(operator="Neg", kind="number", arguments=(_number(node.operand, columns),))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Term(operator="Not", kind="truth", arguments=(_truth(node.operand, columns),))
    if isinstance(node, ast.BoolOp):
        operator = "And" if isinstance(node.op, ast.And) else "Or"
        terms = [_truth(value, columns) for value in node.values]
        whole = terms[0]
        for term in terms[1:]:
            whole = Term(operator=operator, kind="truth", arguments=(whole, term))
        return whole
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], columns)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id, node.args, columns)
    raise ExpressionError(f"{ast.unparse(node)!r} has no meaning here")


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _column(name: str, columns: Mapping[str, Column]) -> Term:
    column = columns.get(name)
    if column is None:
        raise ExpressionError(f"{name} is not a column that the model may use")
    kind: ValueKind = "date" if column.is_date else "category" if column.is_text else "truth" if column.type == "boolean" else "number"
    return Term(operator="column", kind=kind, text=name)


def _constant(value: object) -> Term:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ExpressionError(f"{value!r} is neither a number nor a text")
    if isinstance(value, str):
        return Term(operator="text", kind="text", text=value)
    return Term(operator="number", kind="number", value=float(value))


def _number(node: ast.expr, columns: Mapping[str, Column]) -> Term:
    term = _term(node, columns)
    if term.kind == "truth":
        return Term(operator="Cast", kind="number", arguments=(term,))
    if term.kind != "number":
        raise ExpressionError(f"{ast.unparse(node)!r} is not a number")
    return term


def _truth(node: ast.expr, columns: Mapping[str, Column]) -> Term:
    term = _term(node, columns)
    if term.kind != "truth":
        raise ExpressionError(f"{ast.unparse(node)!r} is not a comparison")
    return term


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, columns: Mapping[str, Column]) -> Term:
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
            raise ExpressionError(f"{ast.unparse(right)!r} is not a list of values")
        whole = _comparison(left, ast.Eq(), right.elts[0], columns)
        for value in right.elts[1:]:
            whole = Term(operator="Or", kind="truth", arguments=(whole, _comparison(left, ast.Eq(), value, columns)))
        return Term(operator="Not", kind="truth", arguments=(whole,)) if isinstance(operator, ast.NotIn) else whole
    name = COMPARISONS.get(type(operator))
    if name is None:
        raise ExpressionError(f"{ast.unparse(left)!r} is compared in a way that has no meaning here")
    sides = [_term(left, columns), _term(right, columns)]
    if sides[0].kind == "text":
        sides.reverse()
    if sides[0].kind == "category" or sides[1].kind == "text":
        return _of_category(sides[0], sides[1], name, columns)
    return Term(operator=name, kind="truth", arguments=(_number(left, columns), _number(right, columns)))


def _of_category(column: Term, value: Term, name: str, columns: Mapping[str, Column]) -> Term:
    if column.kind != "category" or value.kind != "text" or name not in ("Equal", "NotEqual"):
        raise ExpressionError("a text column is compared with a text in quotes, by == or !=")
    allowed = columns[column.text].allowed or ()
    if value.text not in allowed:
        raise ExpressionError(f"{value.text!r} is not an allowed value of {column.text}")
    code = Term(operator="number", kind="number", value=float(allowed.index(value.text)))
    return Term(operator=name, kind="truth", arguments=(column, code))


def _call(name: str, given: list[ast.expr], columns: Mapping[str, Column]) -> Term:
    if name == "column" and len(given) == 1 and isinstance(given[0], ast.Constant):
        return _column(str(given[0].value), columns)
    if name not in FUNCTIONS or len(given) != FUNCTIONS[name]:
        known = ", ".join(f"{function} of {count}" for function, count in FUNCTIONS.items())
        raise ExpressionError(f"{name} of {len(given)} is not a function: there are {known}")
    if name == "missing":
        term = _term(given[0], columns)
        if term.operator != "column":
            raise ExpressionError("missing() asks about a column")
        return Term(operator="missing", kind="truth", arguments=(term,))
    if name in PARTS:
        term = _term(given[0], columns)
        if term.kind != "date":
            raise ExpressionError(f"{name}() asks about a date")
        return Term(operator=name, kind="number", arguments=(term,))
    if name == "where":
        test, rest = _truth(given[0], columns), tuple(_number(one, columns) for one in given[1:])
        return Term(operator="Where", kind="number", arguments=(test, *rest))
    numbers = tuple(_number(one, columns) for one in given)
    return Term(operator={"sqrt": "Sqrt", "abs": "Abs", "min": "Min", "max": "Max"}.get(name, name), kind="number", arguments=numbers)
