"""The Negative Sampler's policy: one graph convolution, then attention over a pool (KGenSam 4.3.2).

The convolution gives knowledge-aware vectors to all items, attributes and users once per set of parameters; scoring
a pool is then a small network with two activation layers over (user, start of the path, candidate).
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.segment import SparseGraph, propagate
from kgcrs.models.recommenders.fm import FmTables


class KnowledgeGraph(NamedTuple):
    """Row-normalised neighbour averages; training interactions only.

    item_attribute: [I, A]. item_user: [I, U]. user_item: [U, I].
    """

    item_attribute: SparseGraph
    item_user: SparseGraph
    user_item: SparseGraph


class NegativePolicy(nn.Module):
    """hidden: width of the convolution and the attention."""

    hidden: int

    def setup(self) -> None:
        """Layers shared by `encode` and `score`."""
        self.itself = nn.Dense(self.hidden)
        self.attributes = nn.Dense(self.hidden, use_bias=False)
        self.interactions = nn.Dense(self.hidden, use_bias=False)
        self.attention = nn.Dense(self.hidden)
        self.second = nn.Dense(self.hidden)
        # Without a bias: a constant added to every logit leaves the softmax as it is.
        self.weight = nn.Dense(1, use_bias=False)

    def encode(self, tables: FmTables, graph: KnowledgeGraph) -> tuple[Array, Array]:
        """One graph convolution: (user float32 [U, hidden], item float32 [I, hidden])."""
        item = self.itself(tables.item) + self.attributes(propagate(graph.item_attribute, tables.attribute))
        item = item + self.interactions(propagate(graph.item_user, tables.user))
        user = self.itself(tables.user) + self.interactions(propagate(graph.user_item, tables.item))
        return nn.relu(user), nn.relu(item)

    def score(self, user: Array, start: Array, candidate: Array, closeness: Array) -> Array:
        """Logits of a pool.

        Args:
          user: float32 [hidden]. start, candidate: float32 [C, hidden], from `encode`.
          closeness: float32 [C, 2]. candidate . user and candidate . start in the recommender's own vectors (the two
            terms of Eq. 14).

        Returns:
          float32 [C].
        """
        pair = jnp.concatenate([user * candidate, start * candidate, closeness], -1)
        h = nn.relu(self.second(nn.tanh(self.attention(pair))))
        return self.weight(jnp.concatenate([h, closeness], -1))[:, 0]

    def __call__(self, tables: FmTables, graph: KnowledgeGraph) -> Array:
        """Touches every layer once (for `init`)."""
        user, item = self.encode(tables, graph)
        return self.score(user[0], item[:2], item[:2], jnp.zeros((2, 2)))
