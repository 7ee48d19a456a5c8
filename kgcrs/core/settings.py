"""Static settings of KGenSam's parts: frozen dataclasses, free of JAX so that `--help` answers at once.

A field that a sweep may vary between lanes (a learning rate, a penalty) also lives in the `Hyper` NamedTuple of
the algorithm that uses it; the value here is its default. Everything else is static under `jit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.errors import KgcrsError


def _require(ok: bool, field: str, value: object, fix: str) -> None:
    if not ok:
        raise KgcrsError(f"{field} is {value!r}, but {fix}.")


@dataclass(frozen=True)
class ProtocolConfig:
    """Rules of the simulated conversation (spec section 3). The defaults are those of the CPR family."""

    max_turns: int = 15
    """Turn budget T; turn 1 is the user's opening, so the agent acts max_turns - 1 times."""
    list_size: int = 10
    """Items per recommendation (k)."""
    prune_on_reject: bool = False
    """Remove the items that have an attribute the user rejected. The CPR family does not. In enumerated mode she
    rejects every child of the question that she does not name."""
    mask_history: bool = False
    """Remove the user's known training items from the candidates. The CPR family does not."""
    askable: Literal["informative", "reachable", "all"] = "informative"
    """Which attributes may be asked: those that split the candidates, those that a candidate has, or all not asked.
    A parent splits the candidates when one of its children does."""
    success: Literal["target", "any_heldout"] = "target"
    """What ends a session: the hidden target only, or any item of the user in the evaluated split."""
    question: Literal["binary", "enumerated"] = "binary"
    """One attribute, yes or no; or one parent attribute, answered with all of its children the target has."""

    def validate(self) -> None:
        """Raises KgcrsError on a budget or list size that leaves nothing to do."""
        _require(
            3 <= self.max_turns <= 15,
            "protocol.max_turns",
            self.max_turns,
            "the turn budget must lie in 3..15",
        )
        _require(self.list_size >= 1, "protocol.list_size", self.list_size, "a list needs at least one item")

    @property
    def num_actions(self) -> int:
        """Agent actions per session: the first turn belongs to the user."""
        return self.max_turns - 1


@dataclass(frozen=True)
class FmConfig:
    """The recommender: a factorisation machine for items and attributes (Eq. 3-6)."""

    dim: int = 64
    """Embedding width d. Paper (as EAR): 64."""
    item_tags: bool = True
    """Item vector = own vector + mean vector of its attributes, so that items nobody trained on can be ranked.
    False gives the published model."""
    user_friends: bool = True
    """User vector = own vector + mean vector of her friends in the graph. False gives the published model."""
    optimizer: Literal["adam", "adagrad", "sgd"] = "adagrad"
    """Released code: SGD or Adagrad; chosen here by time to validation AUC (docs/speed.md)."""
    lr: float = 1.0
    """Learning rate (Adam wants about .001). Released code: .01 (SGD), .02 (Adagrad)."""
    l2: float = 1e-4
    """Weight of the squared norms of the embeddings in a pair (lambda of Eq. 5). Released code: .001-.002."""
    attribute_weight: float = 1.0
    """Weight of the attribute loss (Eq. 6) beside the item loss (Eq. 5)."""
    dropout: float = 0.5
    """Dropout on the products of Eq. 3 while training. Released code: .5."""
    popular_negatives: float = 1.0
    """Share of first negatives drawn from items with training interactions instead of all items.
    Items nobody trained on are then pushed down less: over a third of the targets are such items."""
    own_dropout: float = 0.6
    """Probability that an item of a training tuple is scored by its attributes alone (only with item_tags), so that
    items nobody trained on are ranked on the same scale as the others."""
    init_scale: float = 0.1
    """Standard deviation of initial embeddings. Released code: .01."""
    batch_size: int = 512
    """Training tuples per step. Released code: 64."""
    max_epochs: int = 60
    """Upper limit of passes over the training interactions. Released code: 250."""
    eval_every: int = 3
    """Epochs between validations."""
    patience: int = 4
    """Validations without a better AUC before training stops."""
    fit_on: Literal["train", "train+valid"] = "train"
    """Interactions the final recommender is fitted on. `train+valid` repeats the chosen number of epochs."""

    def validate(self) -> None:
        """Raises KgcrsError on sizes and rates that cannot train."""
        _require(self.dim >= 1, "fm.dim", self.dim, "the width must be at least 1")
        _require(self.lr > 0, "fm.lr", self.lr, "the learning rate must be positive")
        _require(self.l2 >= 0, "fm.l2", self.l2, "the penalty must not be negative")
        _require(0 <= self.dropout < 1, "fm.dropout", self.dropout, "it must lie in [0, 1)")
        _require(0 <= self.own_dropout <= 1, "fm.own_dropout", self.own_dropout, "it is a probability")
        _require(0 <= self.popular_negatives <= 1, "fm.popular_negatives", self.popular_negatives, "it is a share")
        _require(self.batch_size >= 1, "fm.batch_size", self.batch_size, "a batch needs at least one tuple")
        _require(self.max_epochs >= 1, "fm.max_epochs", self.max_epochs, "at least one epoch is needed")
        _require(self.eval_every >= 1, "fm.eval_every", self.eval_every, "at least one epoch is needed")


@dataclass(frozen=True)
class UpdateConfig:
    """Updating the recommender inside a session (Alg. 3, honest version of spec section 9.2)."""

    negatives: Literal["none", "random", "hard", "sampler"] = "sampler"
    """Where negative items come from: no update at all, uniform, the best-scored of the sampler's own pool (dynamic
    negative sampling), or the trained Negative Sampler."""
    num_steps: int = 4
    """Gradient steps after each answer (n_upd). Released code: 4 on LastFM."""
    lr: float = 0.3
    """Step size on the session's own user vector."""
    item_weight: float = 1.0
    """Weight of the pairs (training item of the user, negative item)."""
    attribute_weight: float = 10.0
    """Weight of the pairs (accepted attribute, rejected attribute)."""
    margin: float = 30.0
    """Logits by which an accepted attribute is made to outrank a rejected one before their loss flattens."""
    l2: float = 0.01
    """Pull of the session's user vector back to the trained one."""
    tag_lr: float = 1.0
    """Step size on the session's own vectors of rejected attributes, which move every item that has one (with
    fm.item_tags); 0 keeps the trained vectors."""
    tag_l2: float = 0.0
    """Pull of these vectors back to the trained ones."""
    demote: float = 0.0
    """Taken off an item's score for each refused attribute it has, divided by how many it has. Not in the paper and not
    learned: a large value is the rule that ranks refused attributes last (a row of eval.kgensam)."""
    num_negatives: int = 32
    """Items in a negative batch; the last refused items join it."""
    num_refused: int = 20
    """How many of the last refused items join a negative batch."""
    num_positives: int = 8
    """Training items of the user drawn as positives per answer, by overlap with the accepted attributes."""
    pool_size: int = 128
    """Two-hop candidates drawn per answer, out of which the negative batch is chosen."""
    walk: Literal["feedback", "history"] = "feedback"
    """How the two-hop walk starts: user -> rejected attribute -> item once she has rejected one in this session (the
    session's own edges of the dynamic graph), or always user -> training item -> attribute -> item."""

    def validate(self) -> None:
        """Raises KgcrsError on impossible counts or rates."""
        _require(self.num_steps >= 0, "update.num_steps", self.num_steps, "it must not be negative")
        _require(self.lr >= 0, "update.lr", self.lr, "the step size must not be negative")
        _require(self.tag_lr >= 0, "update.tag_lr", self.tag_lr, "the step size must not be negative")
        _require(self.num_negatives >= 1, "update.num_negatives", self.num_negatives, "at least one is needed")
        _require(self.num_positives >= 1, "update.num_positives", self.num_positives, "at least one is needed")
        _require(
            self.pool_size >= self.num_negatives,
            "update.pool_size",
            self.pool_size,
            "it must hold a negative batch",
        )


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
            _require(getattr(self, name) >= 1, f"active.{name}", getattr(self, name), "it must be at least 1")
        _require(
            self.episode_length <= 14,
            "active.episode_length",
            self.episode_length,
            "a session has 14 actions",
        )
        _require(0 <= self.discount <= 1, "active.discount", self.discount, "it must lie in [0, 1]")


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
            _require(getattr(self, name) >= 1, f"negative.{name}", getattr(self, name), "it must be at least 1")


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
            _require(getattr(self, name) >= 1, f"dqn.{name}", getattr(self, name), "it must be at least 1")
        _require(self.replay_size >= self.batch_size, "dqn.replay_size", self.replay_size, "it must hold a batch")
        _require(0 <= self.discount <= 1, "dqn.discount", self.discount, "it must lie in [0, 1]")


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
    """Where the run is kept. Empty: runs/kgensam-<dataset>-seed<seed>. The same command resumes it."""
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
        _require(self.seed >= 0, "seed", self.seed, "a seed is a non-negative integer")
        _require(self.eval_sessions >= 0, "eval_sessions", self.eval_sessions, "0 means all test sessions")
        for name, part in (("active", self.active), ("dqn", self.dqn)):
            masked = self.protocol.mask_history and part.rl_split == "train"
            fix = "protocol.mask_history removes the very items those sessions look for; use valid_half"
            _require(not masked, f"{name}.rl_split", part.rl_split, fix)
