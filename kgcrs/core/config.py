"""Settings: frozen dataclasses filled from defaults, then a TOML file, then flags; the later one wins.

A `Config` is a frozen dataclass, possibly holding others. Its fields are `bool`, `int`, `float`, `str`,
`Path`, `Literal[...]`, tuples of these, or `X | None`. Nothing here imports jax, so `--help` answers at once.
"""

import dataclasses
import hashlib
import json
import math
import tomllib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kgcrs.core.config_types import convert, worded
from kgcrs.core.errors import KgcrsError, closest

C = TypeVar("C")


def load_config(cls: type[C], argv: Sequence[str], *, prog: str, description: str = "") -> C:
    """Builds the settings of one program from its command line.

    `--config FILE.toml` may stand anywhere among the flags; flags beat the file, the file beats the defaults.
    Nested fields are reached with a dot (`--fm.lr 0.02`); dashes and underscores are the same.

    Args:
      cls: frozen dataclass whose fields all have defaults.
      argv: the arguments after the program's name.
      prog: how the program is called, shown by `--help`, e.g. `python -m train.kgensam`.
      description: what the program does, shown by `--help`.

    Returns:
      An instance of `cls`, checked by the `validate` methods of `cls` and of its nested dataclasses.

    Raises:
      KgcrsError: unreadable file, unknown name, wrong type or a value that `validate` refuses.
      SystemExit: from the flag parser: 0 after `--help`, 2 after an unknown or malformed flag.
    """
    import tyro  # here, because most users of this module never parse a command line

    files, flags = _take_config_files(argv, prog)
    config = cls()
    for file in files:
        config = _merge(config, _read_toml(file), source=str(file))
    note = "Settings can also come from a file: --config FILE.toml (flags win over the file)."
    described = f"{description}\n\n{note}" if description else note
    config = tyro.cli(cls, default=config, args=flags, prog=prog, description=described)
    _validate(config)
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """Turns settings into plain JSON values: tuples become lists, paths become text.

    Args:
      config: a dataclass instance.

    Returns:
      Nested dict with the field names as keys, in their order of declaration.
    """
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def config_from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """Rebuilds settings from `config_to_dict`; absent fields keep their defaults.

    Args:
      cls: frozen dataclass whose fields all have defaults.
      values: nested mapping of field names to JSON values.

    Returns:
      A validated instance of `cls`.

    Raises:
      KgcrsError: unknown name, wrong type or a value that `validate` refuses.
    """
    config = _merge(cls(), values, source="the saved settings")
    _validate(config)
    return config


def config_hash(config: Any, *, skip: Iterable[str] = ()) -> str:
    """Names settings by their content.

    Args:
      config: a dataclass instance.
      skip: dotted fields left out, for those that may change between a run and its continuation.

    Returns:
      12 hexadecimal characters, the same on every machine and for every order of declaration.

    Raises:
      KgcrsError: a name in `skip` is unknown.
    """
    values = config_to_dict(config)
    for dotted in skip:
        *parents, last = dotted.split(".")
        inner: Any = values
        for parent in parents:
            inner = inner.get(parent, {}) if isinstance(inner, dict) else {}
        if not isinstance(inner, dict) or last not in inner:
            raise KgcrsError(f"There is no setting '{dotted}' to leave out of the hash.")
        del inner[last]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def absent_settings(config: Any, recorded: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Finds settings that an earlier version of the program could not record.

    Args:
      config: a dataclass instance whose class has defaults for all fields.
      recorded: what `config_to_dict` gave when the record was made.

    Returns:
      Dotted name of each field or whole section that `recorded` lacks, with its value in `config` and its default.
    """
    return dict(_absent(config_to_dict(config), config_to_dict(type(config)()), recorded, ""))


def _absent(
    values: Mapping[str, Any], defaults: Mapping[str, Any], recorded: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name, value in values.items():
        if name not in recorded:
            yield prefix + name, (value, defaults[name])
        elif isinstance(value, dict) and isinstance(recorded[name], Mapping):
            yield from _absent(value, defaults[name], recorded[name], f"{prefix}{name}.")


def override(config: C, changes: Mapping[str, Any]) -> C:
    """Replaces some settings by dotted name.

    Args:
      config: a frozen dataclass instance; it is not changed.
      changes: dotted field name to new value, e.g. `{"fm.lr": 0.1}`.

    Returns:
      A validated copy.

    Raises:
      KgcrsError: unknown name (with a suggestion), wrong type or a value that `validate` refuses.
    """
    for dotted, value in changes.items():
        nested: Any = value
        for part in reversed(dotted.split(".")):
            nested = {part: nested}
        config = _merge(config, nested, source="the override")
    _validate(config)
    return config


def _take_config_files(argv: Sequence[str], prog: str) -> tuple[list[Path], list[str]]:
    files, rest = [], []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            name = next(arguments, "")
        elif argument.startswith("--config="):
            name = argument.removeprefix("--config=")
        else:
            rest.append(argument)
            continue
        if not name or name.startswith("--"):
            raise KgcrsError(f"--config needs a file: {prog} --config FILE.toml.")
        files.append(Path(name))
    return files, rest


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        folder = file.parent
        siblings = [str(folder / other.name) for other in folder.glob("*.toml")] if folder.is_dir() else []
        raise KgcrsError(f"--config names '{file}', which does not exist.{closest(str(file), siblings)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KgcrsError(f"--config '{file}' is not valid TOML: {error}.") from None
    except OSError as error:
        raise KgcrsError(f"--config '{file}' cannot be read: {error.strerror}.") from None


def _merge(config: C, values: Mapping[str, Any], *, source: str, prefix: str = "") -> C:
    hints = typing.get_type_hints(type(config))
    known = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    changes = {}
    for given, value in values.items():
        name = given.replace("-", "_")
        dotted = f"{prefix}{name}"
        if name not in known:
            near = closest(name, known)
            where = f"section '{prefix[:-1]}'" if prefix else "the top level"
            listing = near or f" Known there: {', '.join(known)}."
            raise KgcrsError(f"Unknown setting '{prefix}{given}' in {source}, at {where}.{listing}")
        current = getattr(config, name)
        if dataclasses.is_dataclass(current) and not isinstance(value, type(current)):
            if not isinstance(value, Mapping):
                raise KgcrsError(
                    f"Setting '{dotted}' in {source} is {value!r}, but it is a section: write [{dotted}] and "
                    f"name one of {', '.join(field.name for field in dataclasses.fields(current))}."
                )
            changes[name] = _merge(current, value, source=source, prefix=f"{dotted}.")
        else:
            changes[name] = _typed(value, hints[name], dotted, source)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _typed(value: Any, hint: Any, dotted: str, source: str) -> Any:
    """Returns `value` in the declared type, or raises naming the field, the value and the type."""
    try:
        return convert(value, hint)
    except (TypeError, ValueError):
        raise KgcrsError(f"Setting '{dotted}' in {source} is {value!r}, but it must be {worded(hint)}.") from None


def _members(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_to_dict(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value


def _validate(config: Any, prefix: str = "") -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _validate(value, f"{prefix}{field.name}.")
        elif any(isinstance(one, float) and not math.isfinite(one) for one in (value, *_members(value))):
            raise KgcrsError(f"{prefix}{field.name} is {value!r}, but it must be a finite number.")
    check: Callable[[], None] | None = getattr(config, "validate", None)
    if check is not None:
        check()
