"""Static settings of writing replies: the network, how it is trained, and how a reply is chosen (KGSF 4.4-4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class DialogueConfig:
    """The network that writes replies (KGSF 4.4)."""

    width: int = 300
    """Width of tokens and states."""
    hidden: int = 300
    """Width inside the feed-forward layers."""
    heads: int = 2
    """Attention heads; they divide the width."""
    layers: int = 2
    """Layers of the encoder, and as many of the decoder."""
    dropout: float = 0.1
    """Dropout of embeddings, of what a sub-layer adds and inside the feed-forward layers."""
    kg: bool = True
    """Let the decoder attend to both graphs. Without it: the ablation w/o KG-D."""
    copy: bool = True
    """Let the decoder copy tokens that the graphs speak of. Without it: the ablation w/o copy."""
    copy_mode: Literal["copynet", "logit_sum", "context"] = "copynet"
    """copynet: generating and copying share one normaliser. logit_sum: one softmax of the summed scores, as released.
    context: copynet among the words, items and best recommendations of this very context."""
    order: Literal["paper", "official"] = "paper"
    """paper: the decoder attends to words, then entities. official: the other way round, as released."""
    train_copy: bool = True
    """Train the copy scores. Without it they stay random and still take part in decoding, as in the released code."""
    joint: bool = False
    """Train the recommender's parameters on replies too; the paper keeps them as they are."""
    item_tokens: Literal["native", "placeholder"] = "native"
    """native: every movie is a token of its own (KGSF). placeholder: all share one, which the recommender fills."""

    def validate(self) -> None:
        """Raises KgcrsError on sizes that no network has."""
        for name in ("width", "hidden", "heads", "layers"):
            require(getattr(self, name) >= 1, f"dialogue.{name}", getattr(self, name), "it must be at least 1")
        require(0 <= self.dropout < 1, "dialogue.dropout", self.dropout, "it must be at least 0 and below 1")
        require(
            self.width % self.heads == 0,
            "dialogue.heads",
            self.heads,
            f"heads share dialogue.width {self.width} evenly: choose a divisor of it",
        )


@dataclass(frozen=True)
class ReplyTraining:
    """The third stage: writing replies (KGSF Alg. 1)."""

    lr: float = 0.001
    """Learning rate at the start."""
    batch_size: int = 32
    """Replies per step."""
    max_epochs: int = 90
    """Epochs at most; 0 leaves the stage out."""
    patience: int = 5
    """Epochs without a better validation likelihood before training stops."""
    clip: float = 0.1
    """Largest norm of the whole gradient."""
    plateau: float = 0.5
    """Factor of the learning rate when validation no longer improves."""
    plateau_patience: int = 3
    """Epochs without a better validation likelihood before the learning rate is lowered."""

    def validate(self) -> None:
        """Raises KgcrsError on values that leave nothing to train."""
        require(self.max_epochs >= 0, "reply.max_epochs", self.max_epochs, "it must be at least 0")
        for name in ("batch_size", "patience", "plateau_patience"):
            require(getattr(self, name) >= 1, f"reply.{name}", getattr(self, name), "it must be at least 1")
        for name in ("lr", "clip"):
            require(getattr(self, name) > 0, f"reply.{name}", getattr(self, name), "it must be positive")
        require(0 < self.plateau <= 1, "reply.plateau", self.plateau, "it must be above 0 and at most 1")


@dataclass(frozen=True)
class DecodeConfig:
    """How test replies are written."""

    method: Literal["greedy", "beam", "sampled"] = "greedy"
    """greedy: the likeliest token each time (published). beam: the best of several replies. sampled: drawn."""
    length: int = 30
    """Most tokens of a reply, its end included."""
    beams: int = 4
    """Replies that beam search follows."""
    length_penalty: float = 0.0
    """Of beam search: replies compare by log-probability / ((5 + length) / 6)^penalty. 0 favours short ones."""
    block: int = 0
    """n-grams of this many tokens are never repeated within a reply; 0 allows all."""
    slots: bool = False
    """Let the recommender choose the movies of a reply; placeholders are always filled."""
    temperature: float = 1.0
    """Of sampling; towards 0 it becomes greedy."""
    top_k: int = 0
    """Draw among this many likeliest tokens; 0 for all."""

    def validate(self) -> None:
        """Raises KgcrsError on values that no reply can be written with."""
        for name in ("length", "beams"):
            require(getattr(self, name) >= 1, f"decode.{name}", getattr(self, name), "it must be at least 1")
        for name in ("block", "top_k"):
            require(getattr(self, name) >= 0, f"decode.{name}", getattr(self, name), "it must be at least 0")
        require(
            0 <= self.length_penalty <= 10,
            "decode.length_penalty",
            self.length_penalty,
            "it must be from 0 to 10: common values are near 1",
        )
        require(
            # Scores beyond that are infinite in single precision, and nothing can be drawn.
            1e-6 <= self.temperature <= 1e6,
            "decode.temperature",
            self.temperature,
            "it must be from 1e-06 to 1e+06: choose decode.method greedy for what 0 would mean",
        )
