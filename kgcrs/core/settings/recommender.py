"""The recommender: fitted offline, and updated inside a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require


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
        require(self.dim >= 1, "fm.dim", self.dim, "the width must be at least 1")
        require(self.lr > 0, "fm.lr", self.lr, "the learning rate must be positive")
        require(self.l2 >= 0, "fm.l2", self.l2, "the penalty must not be negative")
        require(0 <= self.dropout < 1, "fm.dropout", self.dropout, "it must lie in [0, 1)")
        require(0 <= self.own_dropout <= 1, "fm.own_dropout", self.own_dropout, "it is a probability")
        require(0 <= self.popular_negatives <= 1, "fm.popular_negatives", self.popular_negatives, "it is a share")
        require(self.batch_size >= 1, "fm.batch_size", self.batch_size, "a batch needs at least one tuple")
        require(self.max_epochs >= 1, "fm.max_epochs", self.max_epochs, "at least one epoch is needed")
        require(self.eval_every >= 1, "fm.eval_every", self.eval_every, "at least one epoch is needed")
        require(self.patience >= 1, "fm.patience", self.patience, "at least one validation must be waited for")
        require(self.init_scale > 0, "fm.init_scale", self.init_scale, "a standard deviation is positive")


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
        require(self.num_steps >= 0, "update.num_steps", self.num_steps, "it must not be negative")
        require(self.lr >= 0, "update.lr", self.lr, "the step size must not be negative")
        require(self.tag_lr >= 0, "update.tag_lr", self.tag_lr, "the step size must not be negative")
        require(self.num_negatives >= 1, "update.num_negatives", self.num_negatives, "at least one is needed")
        require(self.num_refused >= 1, "update.num_refused", self.num_refused, "at least one is needed")
        require(self.num_positives >= 1, "update.num_positives", self.num_positives, "at least one is needed")
        require(
            self.pool_size >= self.num_negatives,
            "update.pool_size",
            self.pool_size,
            "it must hold a negative batch",
        )
