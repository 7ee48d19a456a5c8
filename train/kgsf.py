"""Trains KGSF, or a method it is compared with: a recommender of items, then a writer of replies (KGSF 4, 5.1.2).

    python -m train.kgsf                                          # a generated world, no data needed
    python -m train.kgsf --config configs/kgsf/redial.toml --data-root DATA
    python -m train.kgsf --model kbrd                             # and redial, kecrs, revcore, textcnn, transformer

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

DESCRIPTION = """Train KGSF in three stages: infomax aligns a word graph with an entity graph, items are predicted from
the dialogue so far, and replies are written by a Transformer that attends to both graphs and copies from them. Each
is selected on validation conversations. Every movie that a recommender names in a test conversation is ranked among
all, every test reply is written, and both are shown as tables and curves. Results and checkpoints go to --run-dir.
Repeat the command to resume. `--reply.max-epochs 0` leaves the dialogue out; `--model transformer` trains nothing else.
`--config FILE.toml` sets defaults (see configs/kgsf/); flags win over the file. Without a file and with the generated
world, configs/kgsf/synthetic.toml is read."""


def default_run_dir(config: KgsfConfig) -> Path:
    """runs/kgsf-<dataset>-seed<seed> unless --run-dir says otherwise.

    Another model, or another preset of KGSF, stands before the seed: runs/kgsf-redial-kbrd-seed0,
    runs/kgsf-redial-official-seed0.
    """
    label = config.dataset.replace(":", "-").replace("/", "-")
    kind = config.preference.preset.removeprefix("kgsf_") if config.model == "kgsf" else config.model
    label += "" if kind == "fixed" else f"-{kind}"
    return Path(config.run_dir or f"runs/kgsf-{label}-seed{config.seed}")


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
