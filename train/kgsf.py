"""Trains KGSF, or a method it is compared with: a recommender of items from a dialogue (KGSF 4, 5.1.2).

    python -m train.kgsf                                          # a generated world, no data needed
    python -m train.kgsf --config configs/kgsf/redial.toml --data-root DATA
    python -m train.kgsf --model textcnn                          # and kbrd, redial, kecrs, revcore

Progress is saved: kill the run at any moment and repeat the command, and it ends with the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.config import load_config
from kgcrs.core.errors import run_main
from kgcrs.core.settings.kgsf import KgsfConfig
from train.default_config import with_default_config

DESCRIPTION = """Train KGSF's recommender: infomax aligns a word graph with an entity graph, then items are predicted
from the dialogue so far. It is selected on validation conversations, and every movie that a recommender names in a
test conversation is ranked among all. Results and checkpoints go to --run-dir. Repeat the command to resume.
`--config FILE.toml` sets defaults (see configs/kgsf/); flags win over the file. Without a file and with the generated
world, configs/kgsf/synthetic.toml is read."""


def default_run_dir(config: KgsfConfig) -> Path:
    """runs/kgsf-<dataset>-seed<seed>, another model's name before the seed, unless --run-dir says otherwise."""
    label = config.dataset.replace(":", "-").replace("/", "-")
    model = "" if config.model == "kgsf" else f"-{config.model}"
    return Path(config.run_dir or f"runs/kgsf-{label}{model}-seed{config.seed}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_config(
        KgsfConfig,
        with_default_config(sys.argv[1:] if argv is None else argv, "kgsf", "synthetic_dialogue"),
        prog="python -m train.kgsf",
        description=DESCRIPTION,
    )
    from train.run_kgsf import train_run  # imports JAX, which --help does not need

    train_run(config, default_run_dir(config))
    return 0


if __name__ == "__main__":
    run_main(main)
