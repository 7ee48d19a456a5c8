"""The settings file that a program reads when its arguments name neither a file nor data of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def with_default_config(argv: Sequence[str], paper: str, world: str) -> list[str]:
    """The arguments with `--config=configs/<paper>/synthetic.toml` in front, if they are about the generated world.

    Args:
      argv: arguments. world: name of the generated world, the data set of a program without `--dataset`.
    """
    named = [
        after if word == "--dataset" else word.removeprefix("--dataset=")
        for word, after in zip(argv, [*argv, ""][1:], strict=True)
        if word.split("=")[0] == "--dataset"
    ]
    has_file = any(word.split("=")[0] == "--config" for word in argv)
    if has_file or any(name != world for name in named):
        return list(argv)
    return [f"--config={CONFIGS / paper / 'synthetic.toml'}", *argv]
