"""Static settings of the recommenders that KGSF is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class BaselineConfig:
    """What the other models of --model have of their own; KGSF and KBRD read none of it."""

    item_tokens: Literal["native", "placeholder"] = "native"
    """textcnn: native shows it which movies the text names, placeholder shows the same token for every movie."""
    token_dim: int = 300
    """textcnn: width of its token vectors."""
    num_filters: int = 256
    """textcnn: filters of each of its three widths, 2, 3 and 4 tokens."""
    dropout: float = 0.5
    """textcnn: share of the pooled features that training leaves out."""
    hidden: int = 1000
    """redial: width of the autoencoder's hidden layer."""
    kecrs_dim: int = 200
    """kecrs: width of all vectors, instead of preference.dim."""
    text_words: int = 20
    """revcore: words at most that a movie's line of metadata adds to a context that names it. The data have a line of
    genres and plot for a movie and no reviews, so this text stands for the published reviews."""

    def validate(self) -> None:
        """Raises KgcrsError on values that leave nothing to compute."""
        for name in ("token_dim", "num_filters", "hidden", "kecrs_dim", "text_words"):
            require(getattr(self, name) >= 1, f"baseline.{name}", getattr(self, name), "it must be at least 1")
        require(0 <= self.dropout < 1, "baseline.dropout", self.dropout, "a share left out is from 0 to below 1")
