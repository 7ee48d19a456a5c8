"""Matrix factorisation in PyTorch with a fused dense Adam, as the twin of `eval.speed_mf`. Needs the extra `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import torch

if TYPE_CHECKING:
    from eval.speed_mf import Triples


class TorchMf:
    """Two tables and their optimiser: a training loop as one writes it."""

    def __init__(self, params: dict[str, Any], lr: float, l2: float) -> None:
        """Copies the tables {"user", "item"}; l2 is the penalty per example."""
        self.l2 = l2
        self.user, self.item = (torch.tensor(np.array(params[name]), requires_grad=True) for name in ("user", "item"))
        self.optimizer = torch.optim.Adam([self.user, self.item], lr=lr, fused=True)
        self.draws = torch.Generator().manual_seed(0)

    def step(self, user: Any, item: Any, negative: Any) -> Any:
        """One step on int64 [B] triples; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        lookup = torch.nn.functional.embedding
        u, i, j = lookup(user, self.user), lookup(item, self.item), lookup(negative, self.item)
        norms = (u**2).sum(1) + (i**2).sum(1) + (j**2).sum(1)
        loss = (-torch.nn.functional.logsigmoid((u * (i - j)).sum(1)) + self.l2 * norms).mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self, triples: Triples) -> list[float]:
        """A step per batch; axes [S, B]. Returns the losses."""
        columns = [torch.tensor(np.asarray(part), dtype=torch.long) for part in triples]
        return [float(self.step(*batch)) for batch in zip(*columns, strict=True)]

    def epoch(self, train: np.ndarray, num_items: int, batch: int) -> dict[str, Any]:
        """One epoch over shuffled pairs int [n, 2]; returns the tables.

        Negatives are uniform and not compared with what the user has, which is less work than ours does.
        """
        pairs = torch.from_numpy(train.astype(np.int64))
        order = torch.randperm(len(pairs), generator=self.draws)
        for start in range(0, len(pairs) - batch + 1, batch):
            user, item = pairs[order[start : start + batch]].T
            self.step(user, item, torch.randint(num_items, (batch,), generator=self.draws))
        return {name: jnp.asarray(getattr(self, name).detach().numpy()) for name in ("user", "item")}

    def epochs(self, train: np.ndarray, num_items: int, batch: int, count: int) -> dict[str, Any]:
        """The tables after `count` of them."""
        for _ in range(count):
            tables = self.epoch(train, num_items, batch)
        return tables
