"""Negative samplers that learn against the recommender: IRGAN, AdvIR and NMRN (KGPolicy 4.2; spec section 10).

All three have a generator, itself a recommender, that scores a pool of uniform items for the user; one is sampled from
the softmax and the generator is updated by REINFORCE with the recommender's opinion of it as reward.

    IRGAN   generator MF, reward ln(1 + exp(y_uj))
    AdvIR   the same, and the recommender is trained at perturbed vectors too (`BprPlan.perturbation`)
    NMRN    generator and recommender are translation models with memory (`models/recommenders/memory_translation.py`)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.algorithms.hard_negatives import SamplerData, uniform_items
from kgcrs.graph.item_sets import contains
from kgcrs.losses.policy_gradient import reinforce_loss
from kgcrs.models.recommenders.interface import Recommender

_OFF = -1e30


class GeneratorHyper(NamedTuple):
    """Numbers a sweep may vary. lr: of the generator's Adam. temperature: tau. baseline_decay: of the running mean."""

    lr: float | Array = 1e-3
    temperature: float | Array = 0.2
    baseline_decay: float | Array = 0.99


class GeneratorState(NamedTuple):
    """params, opt_state: of the generator. baseline: float32 [], running mean reward. steps: int32 []."""

    params: Any
    opt_state: optax.OptState
    baseline: Array
    steps: Array


class Chosen(NamedTuple):
    """A batch of choices. pool: int32 [B, C]. mask: bool [B, C]. pick: int32 [B], position in the pool."""

    pool: Array
    mask: Array
    pick: Array


def irgan_reward(score: Array) -> Array:
    """What the generator earns for a negative that the recommender scores y: ln(1 + exp(y)); float32 [...]."""
    return jax.nn.softplus(score)


def pool_log_probs(
    generator: Recommender, params: Any, graph: Any, user: Array, pool: Array, mask: Array, temperature: float | Array
) -> Array:
    """Log of the softmax over each user's pool; float32 [B, C], hugely negative on masked places."""
    logits = generator.score(generator.tables(params, graph), user[:, None], pool) / temperature
    return jax.nn.log_softmax(jnp.where(mask, logits, _OFF), axis=-1)


def adversarial_sampler(
    name: str, generator: Recommender, recommender: Recommender, hyper: GeneratorHyper, pool_size: int = 256
) -> Sampler:
    """A learned sampler over pools of `pool_size` uniform items.

    Args:
      generator: the model that chooses. recommender: the model that is trained and pays.
    """
    adam = optax.scale_by_adam()

    def init(key: Array) -> GeneratorState:
        params = generator.init(key)
        return GeneratorState(params, adam.init(params), jnp.float32(0.0), jnp.int32(0))

    def draw(
        key: Array, state: GeneratorState, _: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[Array, Chosen]:
        pool_key, pick_key = jax.random.split(key)
        num_items = data.popularity.shape[0]
        pool = uniform_items(pool_key, (user.shape[0], pool_size), num_items)
        mask = ~contains(data.user_items, user[:, None], pool)
        # A pool of training items only: all of it counts, rather than none.
        mask = mask | ~mask.any(-1, keepdims=True)
        log_p = pool_log_probs(generator, state.params, None, user, pool, mask, hyper.temperature)
        pick = jax.random.categorical(pick_key, log_p)
        return jnp.take_along_axis(pool, pick[:, None], 1)[:, 0], Chosen(pool, mask, pick)

    def learn(
        state: GeneratorState, taken: Chosen, tables: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[GeneratorState, dict[str, Array]]:
        negative = jnp.take_along_axis(taken.pool, taken.pick[:, None], 1)[:, 0]
        reward = irgan_reward(recommender.score(tables, user, negative))
        baseline = jnp.where(state.steps == 0, reward.mean(), state.baseline)

        def loss(params: Any) -> Array:
            log_p = pool_log_probs(generator, params, None, user, taken.pool, taken.mask, hyper.temperature)
            picked = jnp.take_along_axis(log_p, taken.pick[:, None], 1)[:, 0]
            return reinforce_loss(picked, reward - baseline).mean()

        updates, opt_state = adam.update(jax.grad(loss)(state.params), state.opt_state)
        params = jax.tree.map(lambda p, g: p - hyper.lr * g, state.params, updates)
        baseline = baseline + (1 - hyper.baseline_decay) * (reward.mean() - baseline)
        return GeneratorState(params, opt_state, baseline, state.steps + 1), {"reward": reward.mean()}

    return Sampler(name, init, draw, learn)
