"""The recommender's training step in PyTorch, as its twin for benchmark (c). Needs the extra `bench`."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch

from kgcrs.algorithms.fm_tuples import FmTuple
from kgcrs.core.settings import FmConfig
from kgcrs.graph.segment import SparseGraph
from kgcrs.models.recommenders.fm import FmFields


class TorchTwin:
    """Parameters and a fused Adam, started from the parameters of the JAX side."""

    def __init__(self, params: dict[str, np.ndarray], fields: FmFields, config: FmConfig) -> None:
        """Copies parameters and averages.

        Args:
          params: float32 tables as from `init_fm`. fields: the averages that compose them.
        """
        self.config = config
        self.params = {name: torch.tensor(np.array(table), requires_grad=True) for name, table in params.items()}
        self.tag_mean, self.friend_mean = _sparse(fields.tag_mean), _sparse(fields.friend_mean)
        self.optimizer = torch.optim.Adam(list(self.params.values()), lr=config.lr, fused=True)

    def loss(self, batch: dict[str, Any]) -> Any:
        """Mean loss of B tuples: that of `fit_fm.tuple_loss`, written for a batch."""
        user, item, attribute = self.params["user"], self.params["item"], self.params["attribute"]
        if "tag" in self.params:
            item = item + torch.sparse.mm(self.tag_mean, self.params["tag"])
        if "friend" in self.params:
            user = user + torch.sparse.mm(self.friend_mean, self.params["friend"])
        real = (batch["revealed"] >= 0).unsqueeze(-1)
        liked = torch.where(real, attribute[batch["revealed"].clamp(min=0)], 0.0)
        own = user[batch["user"]]
        query = own + liked.sum(1)
        dropped = torch.nn.functional.dropout(query, self.config.dropout)
        pos, neg1, neg2 = (item[batch[name]] for name in ("item", "negative", "negative_revealed"))
        log_sigmoid, l2 = torch.nn.functional.logsigmoid, self.config.l2
        norms = (own**2).sum(1) + (liked**2).sum((1, 2)) + (pos**2).sum(1)
        loss = 0.0
        for negative in (neg1, neg2):
            margin = (dropped * (pos - negative)).sum(1)
            loss = loss - log_sigmoid(margin) + l2 * (norms + (negative**2).sum(1))
        p_pos, p_neg = (attribute[batch[name].clamp(min=0)] for name in ("attr_pos", "attr_neg"))
        told = -log_sigmoid((query.detach() * (p_pos - p_neg)).sum(1)) + l2 * ((p_pos**2).sum(1) + (p_neg**2).sum(1))
        return (loss + self.config.attribute_weight * torch.where(batch["attr_neg"] >= 0, told, 0.0)).mean()

    def train(self, batches: FmTuple) -> list[Any]:
        """One optimiser step per batch; arrays of `batches` have axes [S, B, ...]. Returns the losses."""
        columns = {name: torch.tensor(np.asarray(value), dtype=torch.long) for name, value in batches._asdict().items()}
        losses = []
        for step in range(len(columns["user"])):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss({name: column[step] for name, column in columns.items()})
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return losses

    def seconds(self, batches: FmTuple) -> float:
        """Time of `train` after one run of warm-up."""
        self.train(batches)
        start = time.perf_counter()
        self.train(batches)
        return time.perf_counter() - start


def _sparse(graph: SparseGraph) -> Any:
    matrix = graph.forward
    rows, columns = matrix.indptr.shape[0] - 1, graph.backward.indptr.shape[0] - 1
    parts = [torch.tensor(np.array(part)) for part in (matrix.indptr, matrix.cols, matrix.data)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "beta state", and that indices are not checked again
        return torch.sparse_csr_tensor(*parts, size=(rows, columns))
