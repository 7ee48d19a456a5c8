"""Words of a text on each movie join those of the context, each once."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.models.recommenders.described_words import join_words, words_of_items

ITEM_WORDS = jnp.array([[3, 4], [4, -1], [-1, -1]])
rows = st.lists(st.integers(-1, 5), min_size=4, max_size=4)
joined = jax.jit(join_words)


def test_only_items_have_texts():
    # 3 and 7 are entities beyond the three items; item 2 has no text.
    got = words_of_items(ITEM_WORDS, jnp.array([[1, 3, 0], [-1, 7, 2]]))
    assert got.tolist() == [[4, -1, -1, -1, 3, 4], [-1] * 6]


@settings(max_examples=30)
@given(rows, rows)
def test_it_is_the_union_of_sets(words, more):
    got = np.asarray(joined(jnp.array([words]), jnp.array([more])))[0]
    real = got[got >= 0].tolist()
    assert len(real) == len(set(real)) and set(real) == (set(words) | set(more)) - {-1}


def test_in_lanes_alike():
    words, more = jnp.array([[5, -1], [1, 2]]), jnp.array([[5, 0], [-1, 2]])
    lanes = jax.vmap(lambda a, b: join_words(a[None], b[None])[0])(words, more)
    assert lanes.tolist() == joined(words, more).tolist() == join_words(words, more).tolist()
