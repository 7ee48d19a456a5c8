"""Static settings of KGSF: the graphs, the recommender and how both are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.baselines_kgsf import BaselineConfig
from kgcrs.core.settings.dialogue import DecodeConfig, DialogueConfig, ReplyTraining
from kgcrs.core.settings.require import require

REPLIES_ONLY = ("dialogue", "reply", "decode")
"""Sections that only the replies depend on: the recommender is trained before and stays frozen."""


@dataclass(frozen=True)
class PreferenceConfig:
    """The graph encoders, pooling and gate that recommend (KGSF 4.1-4.3)."""

    preset: Literal["kgsf_fixed", "kgsf_paper", "kgsf_official"] = "kgsf_fixed"
    """kgsf_fixed: the released behaviour without its defects. kgsf_paper: the equations as printed. kgsf_official: the
    released choices, to compare curves with."""
    dim: int = 128
    """Width of all vectors."""
    entities: bool = True
    """Read the entity graph. Without it (the ablation -DB) items have free vectors and there is no infomax."""
    words: bool = True
    """Read the word graph. Without it the recommender is that of KBRD."""
    rgcn_input: Literal["onehot", "embed"] = "onehot"
    """onehot: basis tables, as published. embed: one vector per entity and a basis of matrices, an eighth of the
    numbers."""
    mim: Literal["preset", "mse_full", "eq4", "bce_sampled"] = "preset"
    """Loss of infomax. preset: that of the preset. mse_full: squared errors over all entities. eq4: sampled pairs, as
    printed. bce_sampled: the same pairs with a logistic loss, whose slopes do not vanish."""
    mim_bidirectional: bool = False
    """Infomax in both directions: pooled entities predict words as well as pooled words entities."""
    word_movies: bool = False
    """Make every movie that a training text names a node of the word graph, joined with the words of its turn and of
    the turns next to it."""
    more_than: int = 1000
    """Directed edges that a relation must exceed to be kept; lower it for small graphs."""

    def validate(self) -> None:
        """Raises KgcrsError on values that leave nothing to read."""
        require(self.dim >= 1, "preference.dim", self.dim, "a width is at least 1")
        require(self.more_than >= 0, "preference.more_than", self.more_than, "a number of edges is at least 0")
        require(
            self.entities or self.words,
            "preference.entities",
            self.entities,
            "with preference.words off too there is nothing to read: turn one of them on",
        )


@dataclass(frozen=True)
class PreferenceTraining:
    """The first two stages: infomax alone, then recommending (KGSF Alg. 1)."""

    mim_epochs: int = 3
    """Epochs of infomax alone before the recommender is trained; 0 leaves the stage out."""
    mim_samples: Literal["labels", "turns"] = "labels"
    """What infomax alone reads. labels: the recommender's samples, so that a turn counts as often as it names
    movies. turns: every turn of a recommender that has text, once, as published."""
    mim_weight: float = 0.025
    """Weight of infomax beside the recommender's loss; 0 with mim_epochs 0 is the ablation -MIM."""
    lr: float = 0.001
    """Learning rate."""
    batch_size: int = 128
    """Samples per step; the paper has 32."""
    optimizer: Literal["adam", "amsgrad"] = "adam"
    """amsgrad is what the released code uses."""
    clip: float = 0.1
    """Largest norm of the whole gradient."""
    max_epochs: int = 30
    """Epochs of recommending at most."""
    patience: int = 3
    """Epochs without a better validation score (R@1 + R@50) before training stops."""
    text_share: float = 1.0
    """Share of the training conversations with text that the recommender learns from as text; of the others it sees
    movies and entities alone. Below 1 for curves over the amount of training text."""

    def validate(self) -> None:
        """Raises KgcrsError on values that leave nothing to train."""
        for name in ("batch_size", "max_epochs", "patience"):
            require(getattr(self, name) >= 1, f"recommend.{name}", getattr(self, name), "it must be at least 1")
        for name in ("lr", "clip"):
            require(getattr(self, name) > 0, f"recommend.{name}", getattr(self, name), "it must be positive")
        require(0 <= self.text_share <= 1, "recommend.text_share", self.text_share, "a share lies in [0, 1]")
        require(
            self.text_share == 1 or self.mim_samples == "labels",
            "recommend.mim_samples",
            self.mim_samples,
            "recommend.text_share is below 1, which hides the text of labels alone: choose labels",
        )
        for name in ("mim_epochs", "mim_weight"):
            require(getattr(self, name) >= 0, f"recommend.{name}", getattr(self, name), "it must be at least 0")


@dataclass(frozen=True)
class KgsfConfig:
    """A whole KGSF run: data, recommender, dialogue, training."""

    dataset: str = "synthetic_dialogue"
    """synthetic_dialogue (embedded), redial (or redial_dbpedia, redial_imdb, redial_tmkg, redial_wiki: other graphs),
    inspired, inspired_imdb, or redial:PATH and crslab:PATH with files of your own (docs/data.md)."""
    data_root: str = ""
    """Folder that holds the data sets; empty reads the environment variable KGCRS_DATA."""
    model: Literal["kgsf", "kbrd", "textcnn", "redial", "kecrs", "revcore", "transformer"] = "kgsf"
    """kgsf, or a method to compare it with. kbrd: the entity graph alone. kecrs: the same, trained on labels that the
    dialogue has not named yet (give it --dataset redial_tmkg). revcore: kgsf that also reads a line of metadata on each
    movie, in place of reviews. textcnn: a text model. redial: an autoencoder over the movies named. transformer:
    replies only, nothing is recommended. Only kgsf and revcore have infomax; the others ignore its settings."""
    seed: int = 0
    """Seed of every random stream of the run."""
    run_dir: str = ""
    """Where the run is kept. Empty: runs/kgsf-<dataset>-seed<seed>, with the model or preset where it is
    another. The same command resumes it."""
    fresh: bool = False
    """Start over: forget what the run folder holds."""
    recommender: str = ""
    """Folder of a finished run whose recommender is taken instead of training the same one again: for another dialogue
    on top of it. Seed, data and all settings of the recommender must be those of this run."""
    preference: PreferenceConfig = PreferenceConfig()
    """The recommender."""
    recommend: PreferenceTraining = PreferenceTraining()
    """How the recommender is trained."""
    baseline: BaselineConfig = BaselineConfig()
    """What the other models have of their own."""
    dialogue: DialogueConfig = DialogueConfig()
    """The network that writes replies."""
    reply: ReplyTraining = ReplyTraining()
    """How it is trained."""
    decode: DecodeConfig = DecodeConfig()
    """How test replies are written."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        require(0 <= self.seed < 2**31, "seed", self.seed, "a seed is a whole number from 0 to 2147483647")
        if self.recommender and self.model == "transformer":
            raise KgcrsError("recommender is set, but the model transformer has none: leave --recommender out.")
        if self.model == "transformer" and not self.reply.max_epochs:
            raise KgcrsError("reply.max_epochs is 0, but the model transformer only writes replies: give it epochs.")
        if self.model == "textcnn" and self.reply.max_epochs:
            raise KgcrsError(
                f"reply.max_epochs is {self.reply.max_epochs}, but the model textcnn writes no replies: add "
                "--reply.max-epochs 0."
            )
        if self.model not in ("kgsf", "revcore"):
            return
        aligned = self.preference.entities and self.preference.words
        require(aligned or self.model == "kgsf", "model", self.model, "it reads both graphs: turn neither of them off")
        require(
            aligned or not (self.recommend.mim_epochs or self.recommend.mim_weight),
            "recommend.mim_weight",
            self.recommend.mim_weight,
            "infomax aligns words with entities and one of them is off: set recommend.mim-weight and "
            "recommend.mim-epochs to 0",
        )
