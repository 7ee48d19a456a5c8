"""Trains KGenSam from data to an evaluated agent (KGenSam 5.1.3): recommender, two samplers, policy, test.

    python -m train.kgensam                                          # the embedded world, two minutes
    python -m train.kgensam --config configs/kgensam/lastfm.toml --data-root DATA

Every stage is saved as it goes: kill the run at any moment and repeat the command, and it ends with the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.config import load_config
from kgcrs.core.errors import run_main
from kgcrs.core.settings import KgensamConfig
from train.default_config import with_default_config

DESCRIPTION = """Train KGenSam: a factorisation machine, the Negative and Active Samplers, and the policy that decides
whether to ask or to recommend; then play every test session. Results, plots and checkpoints go to --run-dir. Repeat
the command to resume. `--config FILE.toml` sets defaults (see configs/kgensam/); flags win over the file. Without
a file and with the generated world, configs/kgensam/synthetic.toml is read."""


def default_run_dir(config: KgensamConfig) -> Path:
    """runs/kgensam-<dataset>[-prune]-seed<seed>, unless --run-dir says otherwise."""
    label = config.dataset.replace(":", "-").replace("/", "-")
    protocol = "-prune" if config.protocol.prune_on_reject else ""
    return Path(config.run_dir or f"runs/kgensam-{label}{protocol}-seed{config.seed}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_config(
        KgensamConfig,
        with_default_config(sys.argv[1:] if argv is None else argv, "kgensam", "synthetic"),
        prog="python -m train.kgensam",
        description=DESCRIPTION,
    )
    from train.run_kgensam import train_run  # imports JAX, which --help does not need

    train_run(config, default_run_dir(config))
    return 0


if __name__ == "__main__":
    run_main(main)
