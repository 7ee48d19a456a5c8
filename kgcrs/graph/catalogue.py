"""The public side of a data set as device arrays: what the simulator filters by and what an agent may look at.

Built once on the host from `CrsData`. Only *training* interactions enter: deleting every validation and test
interaction changes no array here (`tests/graph/test_catalogue.py`).

Questions are what the agent may ask. In `binary` mode a question is an attribute (Q = A); in `enumerated` mode it is
a parent attribute, and the answer lists all of its children that the target has.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import CrsData
from kgcrs.graph.segment import Csr, build_csr, spmm

DENSE_QUESTIONS = 512
"""Up to this many questions the incidence matrix is kept dense: a small matmul beats a sparse product."""


class Catalogue(NamedTuple):
    """Items, attributes, questions and training history (U users, I items, A attributes, Q questions).

    attr_item: bool [A, I]. Item i has attribute p; transposed, so that one row filters the candidates.
    item_attrs: int32 [I, K]. Attribute ids of an item, padded with -1.
    item_attr_count: int32 [I]. How many of them are real.
    attr_indptr, attr_items: int32 [A+1], int32 [E]. Items of each attribute (compressed rows).
    question_item: bool [Q, I]. Item i has some attribute of question q (equal to attr_item in binary mode).
    question_attr: bool [Q, A] or [0, 0]. Children of each question; empty in binary mode.
    item_question: float32 [I, Q] when Q is small, else float32 [0, 0].
    question_csr: Csr [Q, I]; used to count when Q is large.
    attr_csr: Csr [A, I]. item_csr: Csr [I, A].
    history: int32 [U, H]. Training items of each user, padded with I.
    train_count: int32 [I]. Training interactions of each item.
    """

    attr_item: Array
    item_attrs: Array
    item_attr_count: Array
    attr_indptr: Array
    attr_items: Array
    question_item: Array
    question_attr: Array
    item_question: Array
    question_csr: Csr
    attr_csr: Csr
    item_csr: Csr
    history: Array
    train_count: Array

    @property
    def num_items(self) -> int:
        """I."""
        return self.attr_item.shape[1]

    @property
    def num_attributes(self) -> int:
        """A."""
        return self.attr_item.shape[0]

    @property
    def num_questions(self) -> int:
        """Q."""
        return self.question_item.shape[0]


def pad_rows(rows: np.ndarray, cols: np.ndarray, num_rows: int, fill: int) -> np.ndarray:
    """Groups `cols` by `rows` into a padded table.

    Args:
      rows, cols: int [E]; the order of `cols` within a row is kept.
      num_rows: N. fill: value of padding.

    Returns:
      int32 [N, K], K the largest group (at least 1).
    """
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=num_rows)
    table = np.full((num_rows, max(1, int(counts.max(initial=0)))), fill, np.int32)
    slot = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table[rows[order], slot] = cols[order]
    return table


def build_catalogue(data: CrsData, question: str = "binary", *, fit_on: str = "train") -> Catalogue:
    """Device arrays of `data`.

    Args:
      data: a validated data set.
      question: "binary" or "enumerated".
      fit_on: "train", or "train+valid" when the recommender of the final test may know validation interactions too.

    Raises:
      KgcrsError: enumerated questions on data whose attributes have no parents.
    """
    num_attributes, num_items = data.num_attributes, data.num_items
    item, attr = data.item_attr[:, 0], data.item_attr[:, 1]
    attr_csr = build_csr(attr, item, (num_attributes, num_items))
    attr_item = np.zeros((num_attributes, num_items), bool)
    attr_item[attr, item] = True
    if question == "enumerated":
        if not data.attr_parent.size:
            raise KgcrsError(
                f"protocol.question is 'enumerated', but the attributes of {data.name} have no parents; "
                "use 'binary', or a data set with parents such as lastfm_star."
            )
        question_attr = np.zeros((len(data.parent_names), num_attributes), bool)
        question_attr[data.attr_parent[:, 1], data.attr_parent[:, 0]] = True
        children = [attr_item[row].any(0) for row in question_attr]
        question_item = np.stack(children)
        links = np.nonzero(question_item)
        question_csr = build_csr(links[0], links[1], (question_item.shape[0], num_items))
    else:
        question_attr, question_item, question_csr = np.zeros((0, 0), bool), attr_item, attr_csr
    dense = question_item.shape[0] <= DENSE_QUESTIONS
    known = data.split == 0 if fit_on == "train" else data.split <= 1
    user_k, item_k = data.user[known], data.item[known]
    item_attrs = pad_rows(item, attr, num_items, -1)
    return Catalogue(
        attr_item=jnp.asarray(attr_item),
        item_attrs=jnp.asarray(item_attrs),
        item_attr_count=jnp.asarray((item_attrs >= 0).sum(1), jnp.int32),
        attr_indptr=attr_csr.indptr,
        attr_items=attr_csr.cols,
        question_item=jnp.asarray(question_item),
        question_attr=jnp.asarray(question_attr),
        item_question=jnp.asarray(question_item.T if dense else np.zeros((0, 0)), jnp.float32),
        question_csr=question_csr,
        attr_csr=attr_csr,
        item_csr=build_csr(item, attr, (num_items, num_attributes)),
        history=jnp.asarray(pad_rows(user_k, item_k, data.num_users, num_items)),
        train_count=jnp.asarray(np.bincount(item_k, minlength=num_items), jnp.int32),
    )


def count_questions(catalogue: Catalogue, weights: Array) -> Array:
    """Sums item weights per question: with 0/1 weights, how many candidates each question would keep.

    Args:
      weights: float32 [I].

    Returns:
      float32 [Q].
    """
    if catalogue.item_question.shape[0]:
        return weights @ catalogue.item_question
    return spmm(catalogue.question_csr, weights[:, None])[:, 0]


def is_train_item(catalogue: Catalogue, user: Array, items: Array) -> Array:
    """Whether each of `items` (int32 [...]) is a training item of `user` (int32 []); bool [...]."""
    return (items[..., None] == catalogue.history[user]).any(-1)
