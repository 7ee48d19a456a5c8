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
from kgcrs.algorithms.row_updates import direction, step_rows, take_rows
from kgcrs.graph.item_sets import contains
from kgcrs.losses.policy_gradient import reinforce_loss
from kgcrs.models.recommenders.interface import Recommender

_OFF = -1e30


class GeneratorHyper(NamedTuple):
    """Numbers a sweep may vary. lr: of the generator. temperature: tau. baseline_decay: of the running mean reward."""

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


def pool_log_probs(scores: Array, mask: Array, temperature: float | Array) -> Array:
    """Log of the softmax over each user's pool; float32 [B, C], hugely negative on masked places.

    Args:
      scores: float32 [B, C], of the generator. mask: bool [B, C]. temperature: tau.
    """
    return jax.nn.log_softmax(jnp.where(mask, scores / temperature, _OFF), axis=-1)


def pool_rows(generator: Recommender, user: Array, pool: Array) -> dict[str, Array]:
    """Rows of each table that scoring the pools reads: {name: int32 [B] or [B C]}; empty as for `step_rows`."""
    if generator.rows is None:
        return {}
    return {name: user for name in generator.rows.user} | {name: pool.reshape(-1) for name in generator.rows.item}


def pool_scores(generator: Recommender, own: Any, user: Array, pool: Array) -> Array:
    """Scores of each user's pool, read from tables that hold looked-up rows only; float32 [B, C].

    Like `looked_up_rows.on_own_rows`: every look-up is a slice, so its slope needs no adding row by row.

    Args:
      own: `take_rows(params, pool_rows(...))`. user: int32 [B]. pool: int32 [B, C].
    """
    if generator.rows is None:
        return generator.score(generator.tables(own, None), user[:, None], pool)
    users, items = generator.rows.user, generator.rows.item
    split = {**own, **{name: own[name].reshape(*user.shape, 1, -1) for name in users}}
    split |= {name: own[name].reshape(*pool.shape, 1, -1) for name in items}
    place = jnp.int32(0)
    score = lambda rows: generator.score(generator.tables(rows, None), place, place)  # noqa: E731
    per_item = {name: 0 if name in items else None for name in own}
    per_user = {name: 0 if name in (*users, *items) else None for name in own}
    return jax.vmap(jax.vmap(score, in_axes=(per_item,)), in_axes=(per_user,))(split)


def pretrained_generator(sampler: Sampler, params: Any) -> Sampler:
    """The same learned sampler, its generator fitted beforehand.

    Args:
      params: of the generator, of the recommender's own kind.

    Source: IRGAN (Wang et al., 2017), Algorithm 1, where generator and recommender are both trained beforehand
    Reading: KGPolicy 4.3.2 starts the recommenders alone from one fitted with uniform negatives.
    """

    def init(key: Array) -> GeneratorState:
        fresh = sampler.init(key)
        # A copy: the recommender starts from the same arrays, and one buffer in two places could not be donated.
        return fresh._replace(params=jax.tree.map(jnp.array, params))

    return sampler._replace(init=init)


def adversarial_sampler(
    name: str,
    generator: Recommender,
    recommender: Recommender,
    hyper: GeneratorHyper,
    pool_size: int = 256,
    optimizer: str = "adam",
) -> Sampler:
    """A learned sampler over pools of `pool_size` uniform items.

    Args:
      generator: the model that chooses. recommender: the model that is trained and pays. optimizer: of the generator,
        as for `row_updates.direction`; all but Adam touch only the rows that were looked up.
    """

    def init(key: Array) -> GeneratorState:
        params = generator.init(key)
        return GeneratorState(params, direction(optimizer).init(params), jnp.float32(0.0), jnp.int32(0))

    def draw(
        key: Array, state: GeneratorState, _: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[Array, Chosen]:
        pool_key, pick_key = jax.random.split(key)
        num_items = data.popularity.shape[0]
        pool = uniform_items(pool_key, (user.shape[0], pool_size), num_items)
        mask = ~contains(data.user_items, user[:, None], pool)
        # A pool of training items only: all of it counts, rather than none.
        mask = mask | ~mask.any(-1, keepdims=True)
        own = take_rows(state.params, pool_rows(generator, user, pool))
        scores = pool_scores(generator, own, user, pool)
        log_p = pool_log_probs(scores, mask, hyper.temperature)
        pick = jax.random.categorical(pick_key, log_p)
        return jnp.take_along_axis(pool, pick[:, None], 1)[:, 0], Chosen(pool, mask, pick)

    def learn(
        state: GeneratorState, taken: Chosen, tables: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[GeneratorState, dict[str, Array]]:
        negative = jnp.take_along_axis(taken.pool, taken.pick[:, None], 1)[:, 0]
        reward = irgan_reward(recommender.score(tables, user, negative))
        baseline = jnp.where(state.steps == 0, reward.mean(), state.baseline)

        rows = pool_rows(generator, user, taken.pool)

        def loss(own: Any) -> Array:
            log_p = pool_log_probs(pool_scores(generator, own, user, taken.pool), taken.mask, hyper.temperature)
            picked = jnp.take_along_axis(log_p, taken.pick[:, None], 1)[:, 0]
            return reinforce_loss(picked, reward - baseline).mean()

        slopes = jax.grad(loss)(take_rows(state.params, rows))
        params, opt_state = step_rows(optimizer, hyper.lr, state.params, state.opt_state, slopes, rows)
        baseline = baseline + (1 - hyper.baseline_decay) * (reward.mean() - baseline)
        return GeneratorState(params, opt_state, baseline, state.steps + 1), {"reward": reward.mean()}

    return Sampler(name, init, draw, learn)
