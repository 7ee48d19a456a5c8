"""The learned policies: what to ask, what to push down, ask or recommend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class ActiveConfig:
    """The Active Sampler: which attribute to ask (Eq. 7-13, Alg. 1)."""

    hidden: int = 32
    """Width of the graph convolution. Released code: 8."""
    context: bool = True
    """Add the session to the five state features: how many candidates are left and which share has the attribute."""
    pool_size: int = 128
    """Questions considered at a turn: all, or the most uncertain ones where there are more. Paper: all, and it suggests
    a smaller pool for data with many attributes."""
    degree_scale: Literal["clip", "log"] = "log"
    """Eq. 9 clips at 20 links, which nearly every attribute has; `log` spreads the degrees."""
    gamma: int = 20
    """Links at which the clipped degree saturates (Eq. 9). Paper: 20."""
    reward: Literal["rank_gain", "item_auc", "attr_auc", "cand_gain"] = "rank_gain"
    """What a question earns (Eq. 11): fewer doublings of the rank of the session's item, gain in item AUC, gain in
    attribute AUC on 256 fixed validation tuples, or fewer doublings of the candidates (a control)."""
    discount: float = 0.9
    """Discount of Eq. 13. Paper: not given."""
    lr: float = 3e-3
    """Adam learning rate. Released code: .03."""
    entropy_bonus: float = 0.01
    """Weight of the policy's entropy, which keeps it exploring."""
    batch_size: int = 256
    """Episodes per policy update. Released code: 1."""
    num_updates: int = 150
    """Policy updates. Batch times updates is the number of episodes; released code: 20,000."""
    episode_length: int = 8
    """Questions per training episode. Released code: 15."""
    rl_split: Literal["valid_half", "train"] = "valid_half"
    """Sessions the policy learns from: the half of the validation pairs that also trains the ask-or-recommend policy,
    or training pairs, which the recommender has already fitted."""

    def validate(self) -> None:
        """Raises KgcrsError on sizes that cannot train."""
        for name in ("hidden", "pool_size", "batch_size", "num_updates", "episode_length"):
            require(getattr(self, name) >= 1, f"active.{name}", getattr(self, name), "it must be at least 1")
        require(
            self.episode_length <= 14,
            "active.episode_length",
            self.episode_length,
            "a session has 14 actions",
        )
        require(0 <= self.discount <= 1, "active.discount", self.discount, "it must lie in [0, 1]")
        require(self.lr > 0, "active.lr", self.lr, "the learning rate must be positive")


@dataclass(frozen=True)
class NegativeConfig:
    """The Negative Sampler: which items to push down (Eq. 14-16, Alg. 2)."""

    hidden: int = 32
    """Width of the graph convolution and of the attention. Released code: 32."""
    discount: float = 0.99
    """Discount over the picks of one batch (Eq. 16). Released code computes .99 and ignores it."""
    lr: float = 1e-3
    """Adam learning rate of the sampler. Released code: .001."""
    fm_lr: float = 1e-3
    """Adam learning rate of the recommender copy that is trained along (Alg. 2). Released code: .001."""
    entropy_bonus: float = 0.01
    """Weight of the policy's entropy."""
    batch_size: int = 512
    """Training interactions per policy update. Released code: 64."""
    num_updates: int = 300
    """Policy updates."""
    num_picks: int = 8
    """Negatives picked without replacement per interaction while training."""

    def validate(self) -> None:
        """Raises KgcrsError on sizes that cannot train."""
        for name in ("hidden", "batch_size", "num_updates", "num_picks"):
            require(getattr(self, name) >= 1, f"negative.{name}", getattr(self, name), "it must be at least 1")
        for name in ("lr", "fm_lr"):
            require(getattr(self, name) > 0, f"negative.{name}", getattr(self, name), "a learning rate is positive")
        require(0 <= self.discount <= 1, "negative.discount", self.discount, "it must lie in [0, 1]")


@dataclass(frozen=True)
class DqnConfig:
    """The two-action policy: ask or recommend (section 3.2.3; hyper-parameters as CPR)."""

    state: Literal["cpr", "ear", "rich"] = "rich"
    """Input: the answers so far and the number of candidates (`cpr`); attribute entropies and preferences beside them
    (`ear`); or `cpr` with what the recommender and the sampler think (`rich`)."""
    reward: Literal["cpr", "ask_more", "rec_more", "ear"] = "cpr"
    """Reward setting of Table 4."""
    hidden: int = 128
    """Width of the hidden layer. Paper (as CPR): 512; 128 learned faster and better on validation sessions."""
    discount: float = 0.999
    """Discount. Paper (as CPR): .999."""
    lr: float = 1e-3
    """Adam learning rate at the start; it falls linearly to a fiftieth. Released code: RMSprop at its default .01."""
    target_rate: float = 0.02
    """Polyak rate of the target network. Paper (as CPR): a copy every 20 episodes."""
    double: bool = True
    """Double Q-learning."""
    replay_size: int = 100_000
    """Transitions kept. Paper (as CPR): 50,000."""
    batch_size: int = 256
    """Transitions per gradient step. Paper (as CPR): 128."""
    episodes: int = 20_480
    """Simulated sessions. Released code: 50,000."""
    sessions_per_batch: int = 256
    """Sessions played side by side."""
    updates_per_turn: int = 16
    """Gradient steps after each turn of the side-by-side sessions."""
    epsilon_end: float = 0.05
    """Exploration rate after the first fifth of training; it starts at 1 and falls linearly."""
    eval_every: int = 10
    """Batches of sessions between validations."""
    select_sessions: int = 2048
    """Sessions of the selection half played at each validation; 0 plays all of them."""
    rl_split: Literal["valid_half", "train"] = "valid_half"
    """Sessions the policy learns from: one half of the validation pairs, the other half selects it; or training pairs,
    which the recommender has already fitted."""

    def validate(self) -> None:
        """Raises KgcrsError on sizes that cannot train."""
        for name in (
            "hidden",
            "batch_size",
            "episodes",
            "sessions_per_batch",
            "updates_per_turn",
            "eval_every",
        ):
            require(getattr(self, name) >= 1, f"dqn.{name}", getattr(self, name), "it must be at least 1")
        require(self.replay_size >= self.batch_size, "dqn.replay_size", self.replay_size, "it must hold a batch")
        require(self.lr > 0, "dqn.lr", self.lr, "the learning rate must be positive")
        require(self.select_sessions >= 0, "dqn.select_sessions", self.select_sessions, "0 plays all of them")
        require(0 < self.target_rate <= 1, "dqn.target_rate", self.target_rate, "it must lie in (0, 1]")
        for name in ("discount", "epsilon_end"):
            require(0 <= getattr(self, name) <= 1, f"dqn.{name}", getattr(self, name), "it must lie in [0, 1]")
