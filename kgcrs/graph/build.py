"""Normalised graphs of a data set: what vectors are averaged over, and who is connected with whom."""

from __future__ import annotations

import numpy as np

from kgcrs.data.schema import CrsData
from kgcrs.graph.segment import SparseGraph, build_sparse_graph


def row_mean_graph(edges: np.ndarray, shape: tuple[int, int]) -> SparseGraph:
    """Edge list int [E, 2] (row, column) as a matrix [M, N] whose non-empty rows sum to one."""
    degree = np.bincount(edges[:, 0], minlength=shape[0])
    return build_sparse_graph(edges[:, 0], edges[:, 1], shape, 1.0 / degree[edges[:, 0]])


def tag_mean_graph(data: CrsData) -> SparseGraph:
    """Mean over an item's attributes, [I, A]."""
    return row_mean_graph(data.item_attr, (data.num_items, data.num_attributes))


def friend_mean_graph(data: CrsData) -> SparseGraph:
    """Mean over a user's friends, [U, U]."""
    return row_mean_graph(data.user_friend, (data.num_users, data.num_users))
