"""Static settings of KGPolicy: the recommender, the negative sampler it is trained with, and the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require

SamplerName = Literal["rns", "pns", "dns", "reward_dns", "rws", "kg_dns", "mixed", "irgan", "advir", "nmrn", "kgpolicy"]


@dataclass(frozen=True)
class BprConfig:
    """The recommender and its optimiser (KGPolicy 2.2)."""

    model: Literal["mf", "fm", "lightgcn", "nfm", "cke", "ripple_net", "kgat", "popularity"] = "mf"
    """The recommender: matrix factorisation, a factorisation machine over the item's entities, or light graph
    convolution over the training interactions. Those compared with in the paper read the knowledge graph: nfm, cke,
    ripple_net, kgat. popularity learns nothing and shows the most popular items to all: a baseline."""
    dim: int = 64
    """Width of all vectors."""
    init_scale: float = 0.1
    """Standard deviation of the initial vectors."""
    lr: float = 0.001
    """Learning rate."""
    l2: float = 0.0001
    """Penalty per example on the squared norms of its vectors. The released code's `regs` r at batch size B is
    r * B / 2 here."""
    batch_size: int = 1024
    """Training pairs per step."""
    optimizer: Literal["adam", "adagrad", "row_adagrad", "sgd"] = "adam"
    """adam as published; adagrad moves rare rows further; row_adagrad does with one accumulator per row, and its rate
    means the same at any batch size. On looked-up tables (mf) all but adam touch only the rows of the batch."""
    positive_draw: Literal["interaction", "user"] = "interaction"
    """Every interaction equally often (the paper's sum), or a uniform user and one of her items (the released code)."""
    max_epochs: int = 100
    """Epochs at most."""
    eval_every: int = 5
    """Epochs between validations."""
    patience: int = 4
    """Validations without a better recall before training stops."""
    refit: bool = False
    """After the best number of epochs is chosen on validation items, train anew for as many on training and validation
    items together: published models learned from both. Not for lightgcn, ripple_net and kgat."""
    warm_epochs: int = 0
    """Epochs of training with uniform negatives before the sampler takes over: the warm start, the same for all."""
    mf_epochs: int = 0
    """Epochs of matrix factorisation with uniform negatives whose vectors the other models start from, as published for
    nfm, cke and kgat; 0 starts from random ones."""
    mf_lr: float = 0.005
    """Learning rate of that start, by adam."""
    mf_l2: float = 0.03
    """Penalty per example of that start."""
    side_weight: float = 1.0
    """Weight of the knowledge-graph loss of cke, kgat and ripple_net; 1 as published (ripple_net's own .01 comes on
    top). It is drawn on batch_size facts per step."""
    dropout: float = 0.1
    """Share that training zeroes: of the interaction and the hidden layer of nfm, of the messages of kgat."""
    hops: int = 2
    """Hops of ripple_net."""
    memory_size: int = 32
    """Facts per user and hop of ripple_net."""

    def validate(self) -> None:
        """Raises KgcrsError on values that leave nothing to train."""
        for name in ("dim", "batch_size", "max_epochs", "eval_every", "patience"):
            require(getattr(self, name) >= 1, f"bpr.{name}", getattr(self, name), "it must be at least 1")
        require(self.lr > 0, "bpr.lr", self.lr, "a learning rate is positive")
        require(self.init_scale > 0, "bpr.init_scale", self.init_scale, "a standard deviation is positive")
        require(self.l2 >= 0, "bpr.l2", self.l2, "a penalty is at least 0")
        require(self.warm_epochs >= 0, "bpr.warm_epochs", self.warm_epochs, "0 means no warm start")
        require(self.mf_epochs >= 0, "bpr.mf_epochs", self.mf_epochs, "0 means a random start")
        require(
            self.mf_epochs == 0 or self.model not in ("mf", "popularity"),
            "bpr.mf_epochs",
            self.mf_epochs,
            f"{self.model} does not start from mf: leave it at 0, or use --bpr.warm-epochs",
        )
        require(
            not self.refit or self.model in ("mf", "fm", "nfm", "cke"),
            "bpr.refit",
            self.refit,
            f"the graph of {self.model} is made of training items only: leave it off",
        )
        require(self.mf_lr > 0, "bpr.mf_lr", self.mf_lr, "a learning rate is positive")
        require(self.mf_l2 >= 0, "bpr.mf_l2", self.mf_l2, "a penalty is at least 0")
        for name in ("hops", "memory_size"):
            require(getattr(self, name) >= 1, f"bpr.{name}", getattr(self, name), "it must be at least 1")
        require(self.side_weight >= 0, "bpr.side_weight", self.side_weight, "a weight is at least 0")
        require(0 <= self.dropout < 1, "bpr.dropout", self.dropout, "a share to zero lies in [0, 1)")


@dataclass(frozen=True)
class SamplerConfig:
    """Where negatives come from (KGPolicy 3, 4.2)."""

    name: SamplerName = "kgpolicy"
    """rns uniform, pns by popularity, dns best of M uniform, reward_dns the same by the reward of kgpolicy (prediction,
    similarity below), rws random walk, kg_dns best of M two-hop items, mixed half of each, irgan and advir a generator
    trained against the recommender, nmrn the same with translation models, kgpolicy the learned walk."""
    num_candidates: int = 16
    """M of dns, reward_dns, kg_dns and mixed."""
    pool_size: int = 256
    """Uniform items the generator chooses from (irgan, advir, nmrn)."""
    temperature: float = 0.2
    """Of the generator's softmax."""
    perturbation: float = 0.1
    """Length of advir's step against the recommender's vectors."""
    memory_slots: int = 20
    """Memory slots of nmrn's translation models."""
    memory_radius: float = 0.1
    """Longest memory vector of nmrn's translation models, whose users and items have length 1 at most."""
    popularity_exponent: float = 0.75
    """beta of pns."""
    explorations: int = 2
    """T: explorations of a walk (rws, kgpolicy)."""
    num_neighbours: int = 64
    """n1: neighbours looked at per node."""
    num_kept: int = 32
    """n2: neighbours kept by pruning."""
    random_items: int = 16
    """n_r: random items beside the neighbours at the end of each exploration."""
    random_nodes: int = 0
    """Random entities beside the neighbours in the middle of each exploration."""
    hop_types: Literal["both", "kg", "cf"] = "both"
    """Edges walked over: all, the knowledge graph's only, or interactions only."""
    num_layers: int = 2
    """L: layers of graph learning."""
    gnn_every: int = 1
    """Batches per step of the policy, with the nodes' vectors kept in between: 1 as published; more is an
    approximation that spares most of the cost of graph learning on large graphs."""
    lr: float = 0.001
    """Learning rate of the policy, or of the generator (irgan, advir, nmrn)."""
    optimizer: Literal["adam", "adagrad", "row_adagrad", "sgd"] = "adam"
    """Of the generator (irgan, advir, nmrn), as for bpr.optimizer."""
    pretrained: bool = False
    """Start the generator (irgan, advir, nmrn) where the warm start ends (bpr.warm_epochs), as the recommender does."""
    discount: float = 0.99
    """gamma."""
    prediction: float = 1.0
    """Weight of the prediction reward (how the recommender scores the negative for the user)."""
    similarity: float = 1.0
    """Weight of the similarity reward (how close the negative is to the positive item)."""
    entropy_bonus: float = 0.0
    """Weight of the policy's entropy."""
    credit: Literal["to_go", "immediate"] = "to_go"
    """Reward to go (the gradient of Eq. 8), or Eq. 16 as printed."""
    selection: Literal["sample", "uniform"] = "sample"
    """sample from the policy, or walk uniformly over the pruned neighbours (ablation)."""
    pool: Literal["two_hop", "uniform"] = "two_hop"
    """Where explorations end: at items around the middle node, or at as many random items (ablation)."""
    final_pick: Literal["sample", "best"] = "sample"
    """How the last item is taken from its pruned pool: by the policy, or the best paid one (the released code)."""
    gradient: Literal["sampled", "expected"] = "sampled"
    """Of the last choice: REINFORCE as published, or the same in expectation over the pool (less noise)."""
    learns: bool = True
    """False freezes the policy at its start (ablation)."""
    shuffle_rewards: bool = False
    """Pay every walk another one's reward (ablation: nothing can be learned)."""

    def validate(self) -> None:
        """Raises KgcrsError on empty pools and walks."""
        for name in (
            "num_candidates",
            "pool_size",
            "memory_slots",
            "explorations",
            "num_neighbours",
            "num_kept",
            "random_items",
            "num_layers",
            "gnn_every",
        ):
            require(getattr(self, name) >= 1, f"sampler.{name}", getattr(self, name), "it must be at least 1")
        require(self.random_nodes >= 0, "sampler.random_nodes", self.random_nodes, "a number is at least 0")
        require(self.lr > 0, "sampler.lr", self.lr, "a learning rate is positive")
        require(self.temperature > 0, "sampler.temperature", self.temperature, "a temperature is positive")
        require(self.memory_radius > 0, "sampler.memory_radius", self.memory_radius, "a length is positive")
        require(self.perturbation >= 0, "sampler.perturbation", self.perturbation, "a length is at least 0")
        require(0 <= self.discount <= 1, "sampler.discount", self.discount, "it must lie in [0, 1]")
        require(
            self.popularity_exponent >= 0, "sampler.popularity_exponent", self.popularity_exponent, "it is at least 0"
        )


@dataclass(frozen=True)
class KgPolicyConfig:
    """A whole KGPolicy run: data, recommender, sampler."""

    dataset: str = "synthetic_kg"
    """synthetic_kg (embedded), lastfm_small_kg, book_crossing_kg, lastfm_kg, amazon_book, alibaba_ifashion_mini, or
    kgat:PATH with files in the KGAT format (docs/data.md)."""
    data_root: str = ""
    """Folder that holds the data sets; empty reads the environment variable KGCRS_DATA."""
    seed: int = 0
    """Seed of every random stream of the run."""
    run_dir: str = ""
    """Where the run is kept. Empty: runs/kgpolicy-<dataset>-<model unless mf>-<sampler>-seed<seed>. The same command
    resumes it."""
    fresh: bool = False
    """Start over: forget what the run folder holds."""
    bpr: BprConfig = BprConfig()
    """The recommender."""
    sampler: SamplerConfig = SamplerConfig()
    """The negative sampler."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        require(0 <= self.seed < 2**31, "seed", self.seed, "a seed is a whole number from 0 to 2147483647")
        require(
            not self.sampler.pretrained
            or (self.bpr.warm_epochs > 0 and self.sampler.name in ("irgan", "advir", "nmrn")),
            "sampler.pretrained",
            self.sampler.pretrained,
            "it is for irgan, advir and nmrn, after a warm start: add --bpr.warm-epochs",
        )
        # Their generator is a second recommender without a graph (advir moves plain vectors, nmrn brings its own).
        require(
            self.bpr.model == "mf" or self.sampler.name not in ("irgan", "advir", "nmrn"),
            "bpr.model",
            self.bpr.model,
            f"sampler {self.sampler.name} works with mf only: choose --bpr.model mf, or another --sampler.name",
        )
