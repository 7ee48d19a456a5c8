"""Which values a field of a settings dataclass takes, and how to say so."""

import types
import typing
from pathlib import Path
from typing import Any


def convert(value: Any, hint: Any) -> Any:
    """Turns a TOML or JSON value into the declared type of a field, without guessing.

    Args:
      value: what the file holds.
      hint: the field's resolved annotation.

    Returns:
      The value; lists become tuples, text becomes a path and whole numbers become floats where those are
      declared.

    Raises:
      TypeError, ValueError: the value is of another type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Literal:
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
        raise ValueError
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return convert(value, choice)
            except (TypeError, ValueError):
                continue
        raise TypeError
    if origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(convert(one, arguments[0]) for one in value)
        return tuple(convert(one, kind) for one, kind in zip(value, arguments, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint in (None, type(None)) and value is None:
        return None
    # An exact match: True is an int to Python, and not to the person who wrote the file.
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise TypeError


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a path in quotes",
    type(None): "nothing",
}


def worded(hint: Any) -> str:
    """Says a declared type the way a person would, e.g. `a whole number`.

    Args:
      hint: a resolved annotation.

    Returns:
      A noun phrase.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return f"one of {', '.join(repr(choice) for choice in arguments)}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(worded(choice) for choice in arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return f"a list, each element {worded(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)}: {', '.join(worded(one) for one in arguments)}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
