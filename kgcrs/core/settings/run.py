"""A whole run: data, seed, one section per part, and what is taken out of the system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.policies import ActiveConfig, DqnConfig, NegativeConfig
from kgcrs.core.settings.protocol import ProtocolConfig
from kgcrs.core.settings.recommender import FmConfig, UpdateConfig
from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class AblationConfig:
    """Parts taken out, and the leaks of published code. Every `leak_*` makes results dishonest; all are off."""

    ask: Literal["active", "weighted_entropy", "max_entropy", "random", "oracle"] = "active"
    """Which attribute is asked. `weighted_entropy` is w/o AS; `oracle` sees the target."""
    leak_heldout_positives: bool = False
    """Session updates use the user's validation and test items, but for the session's own target, as positives
    (spec 12.B1)."""
    leak_filtered_negatives: bool = False
    """Session updates never push down a validation or test item of the user (spec 12.B2)."""
    leak_fit_on_test: bool = False
    """The recommender is fitted on train, validation and test interactions (spec 12.B3)."""
    leak_target_pool: bool = False
    """Negatives come from the neighbourhood of the hidden target, as Alg. 3 is printed (spec 12.A1)."""
    leak_any_item: bool = False
    """A list with any item of the user, training items included, ends a session (spec 12.D)."""

    def leaks(self) -> tuple[str, ...]:
        """Names of the leaks that are switched on."""
        return tuple(name for name in vars(self) if name.startswith("leak_") and getattr(self, name))


@dataclass(frozen=True)
class KgensamConfig:
    """A whole KGenSam run: data, protocol, and one section per part of the system."""

    dataset: str = "synthetic"
    """synthetic, synthetic_bits, lastfm, lastfm_star, or folder:PATH with your own tables (docs/data.md)."""
    data_root: str = ""
    """Folder that holds the data sets; empty reads the environment variable KGCRS_DATA."""
    split_ratio: tuple[float, float, float] | None = None
    """Re-split the interactions, e.g. 7 1 2. Default: the split the data set ships with."""
    seed: int = 0
    """Seed of every random stream of the run."""
    run_dir: str = ""
    """Where the run is kept. Empty: runs/kgensam-<dataset>[-prune]-seed<seed>. The same command resumes it."""
    fresh: bool = False
    """Start over: forget what the run folder holds."""
    eval_sessions: int = 0
    """Test sessions played at the end of training; 0 plays all of them."""
    protocol: ProtocolConfig = ProtocolConfig()
    """Rules of the simulated conversation."""
    fm: FmConfig = FmConfig()
    """Stage 1: the recommender."""
    negative: NegativeConfig = NegativeConfig()
    """Stage 2a: the Negative Sampler."""
    active: ActiveConfig = ActiveConfig()
    """Stage 2b: the Active Sampler."""
    dqn: DqnConfig = DqnConfig()
    """Stage 3: the ask-or-recommend policy."""
    update: UpdateConfig = UpdateConfig()
    """Updating the recommender inside a session."""
    ablation: AblationConfig = AblationConfig()
    """Parts taken out, and the leaks of published code."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        require(0 <= self.seed < 2**31, "seed", self.seed, "a seed is a whole number from 0 to 2147483647")
        require(self.eval_sessions >= 0, "eval_sessions", self.eval_sessions, "0 means all test sessions")
        for name, part in (("active", self.active), ("dqn", self.dqn)):
            masked = self.protocol.mask_history and part.rl_split == "train"
            fix = "protocol.mask_history removes the very items those sessions look for; use valid_half"
            require(not masked, f"{name}.rl_split", part.rl_split, fix)
