"""Trains a recommender with KGPolicy's negative sampler, or with one it is compared with (KGPolicy 3, 4.2).

    python -m train.kgpolicy                                         # the embedded world
    python -m train.kgpolicy --config configs/kgpolicy/lastfm_small_kg.toml --data-root DATA
    python -m train.kgpolicy --dataset lastfm_small_kg --sampler.name dns --sampler.num-candidates 16

Progress is saved: kill the run at any moment and repeat the command, and it ends with the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.config import load_config
from kgcrs.core.errors import run_main
from kgcrs.core.settings.kgpolicy import KgPolicyConfig

DESCRIPTION = """Train a recommender by pairwise ranking against sampled negatives, select it on validation, and rank
all items for every test user. Negatives come from KGPolicy (a policy that walks the knowledge graph) or from another
sampler (--sampler.name). Results and checkpoints go to --run-dir. Repeat the command to resume. `--config FILE.toml`
sets defaults (see configs/kgpolicy/); flags win over the file."""


def default_run_dir(config: KgPolicyConfig) -> Path:
    """runs/kgpolicy-<dataset>-<model unless mf>-<sampler>-seed<seed>, unless --run-dir says otherwise."""
    label = config.dataset.replace(":", "-").replace("/", "-")
    model = "" if config.bpr.model == "mf" else f"-{config.bpr.model}"
    return Path(config.run_dir or f"runs/kgpolicy-{label}{model}-{config.sampler.name}-seed{config.seed}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_config(
        KgPolicyConfig,
        sys.argv[1:] if argv is None else argv,
        prog="python -m train.kgpolicy",
        description=DESCRIPTION,
    )
    from train.run_kgpolicy import train_run  # imports JAX, which --help does not need

    train_run(config, default_run_dir(config))
    return 0


if __name__ == "__main__":
    run_main(main)
