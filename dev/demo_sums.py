"""Arithmetic and units for the demo's tools: exact decimals, and nothing but arithmetic is ever evaluated."""

import ast
import operator
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException, localcontext

LONGEST_EXPRESSION = 200  # characters; keeps the parser's work, and so a call, short
LARGEST_EXPONENT = 30  # results beyond 10^±30 are refused instead of printed in full

_OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.UAdd: operator.pos, ast.USub: operator.neg,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable] = {
    "abs": abs, "min": min, "max": max, "sqrt": Decimal.sqrt,
    "round": lambda value, digits=Decimal(0): round(value, int(digits)),
}  # fmt: skip

# Units by kind, as multiples of the kind's base unit; temperatures also have an offset and are told apart below.
_UNITS = {
    "length": {"mm": "0.001", "cm": "0.01", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048", "yd": "0.9144",
               "mi": "1609.344", "nmi": "1852"},
    "mass": {"g": "0.001", "kg": "1", "t": "1000", "oz": "0.028349523125", "lb": "0.45359237"},
    "volume": {"ml": "0.001", "l": "1", "m3": "1000", "gal": "3.785411784", "pt": "0.473176473"},
    "area": {"m2": "1", "ha": "10000", "km2": "1000000", "ft2": "0.09290304", "acre": "4046.8564224"},
    "speed": {"m/s": "1", "km/h": "0.277777777777777777777777778", "mph": "0.44704", "kn": "0.514444444444444444444"},
    "data": {"B": "1", "kB": "1000", "MB": "1000000", "GB": "1000000000", "KiB": "1024", "MiB": "1048576",
             "GiB": "1073741824"},
}  # fmt: skip
_TEMPERATURES = {"C": ("1", "273.15"), "F": ("0.5555555555555555555555555556", "459.67"), "K": ("1", "0")}
_NAMES = {
    "millimetre": "mm", "centimetre": "cm", "metre": "m", "meter": "m", "kilometre": "km", "kilometer": "km",
    "inch": "in", "inche": "in", "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi", "nautical mile": "nmi",
    "gram": "g", "kilogram": "kg", "kilo": "kg", "tonne": "t", "ton": "t", "ounce": "oz", "pound": "lb", "lbs": "lb",
    "millilitre": "ml", "litre": "l", "liter": "l", "gallon": "gal", "pint": "pt", "hectare": "ha", "acre": "acre",
    "knot": "kn", "kmh": "km/h", "kph": "km/h", "byte": "B", "kilobyte": "kB", "megabyte": "MB", "gigabyte": "GB",
    "celsius": "C", "°c": "C", "fahrenheit": "F", "°f": "F", "kelvin": "K",
}  # fmt: skip


class BadInput(Exception):
    """What was asked cannot be worked out; the text says why."""


def evaluate(expression: str) -> Decimal:
    """The value of an arithmetic expression.

    Raises:
        BadInput: it is not arithmetic, or has no value that can be printed.
    """
    if len(expression) > LONGEST_EXPRESSION:
        raise BadInput(f"The expression is longer than {LONGEST_EXPRESSION} characters.")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise BadInput(f"{expression!r} is not an arithmetic expression.") from None
    with localcontext(Context(prec=28)):
        try:
            return _presentable(_value(tree.body))
        except ZeroDivisionError:
            raise BadInput("Division by zero.") from None
        except (DecimalException, TypeError, ValueError, RecursionError):
            raise BadInput(f"{expression!r} has no value.") from None


def convert(value: Decimal, source: str, target: str) -> Decimal:
    """`value` in the unit `source`, expressed in the unit `target`.

    Raises:
        BadInput: a unit is unknown, or the two measure different things.
    """
    source_kind, source_factor, source_offset = _unit(source)
    target_kind, target_factor, target_offset = _unit(target)
    if source_kind != target_kind:
        raise BadInput(f"{source} measures {source_kind}, {target} measures {target_kind}.")
    base = (value + source_offset) * source_factor
    return _presentable(round(base / target_factor - target_offset, 6))


def plain(value: Decimal) -> str:
    """The number without exponent and trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _value(node: ast.AST) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Decimal(repr(number))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*map(_value, arguments))
    raise BadInput(f"Only numbers, + - * / // % **, parentheses and {', '.join(_FUNCTIONS)} are allowed.")


def _presentable(value: Decimal) -> Decimal:
    if value and abs(value.adjusted()) > LARGEST_EXPONENT:
        raise BadInput(f"The result is beyond 10^±{LARGEST_EXPONENT}.")
    return value


def _unit(name: str) -> tuple[str, Decimal, Decimal]:
    symbol = _symbol(name.strip())
    if symbol in _TEMPERATURES:
        factor, offset = _TEMPERATURES[symbol]
        return "temperature", Decimal(factor), Decimal(offset)
    for kind, units in _UNITS.items():
        if symbol in units:
            return kind, Decimal(units[symbol]), Decimal(0)
    known = ", ".join([*_TEMPERATURES, *(unit for units in _UNITS.values() for unit in units)])
    raise BadInput(f"Unknown unit {name!r}; known are {known}.")


def _symbol(name: str) -> str:
    """The unit's symbol: a symbol as it is (case matters for data), else by its English name, singular or plural."""
    if name in _TEMPERATURES or any(name in units for units in _UNITS.values()):
        return name
    lowered = name.lower()
    return _NAMES.get(lowered) or _NAMES.get(lowered.removesuffix("s")) or lowered
