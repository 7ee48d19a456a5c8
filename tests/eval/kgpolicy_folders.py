"""Run folders as `train.kgpolicy` leaves them, without training."""

import json

import numpy as np

from kgcrs.core.config import config_to_dict, override
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from train.ranking_stages import CUTOFFS

NUM_USERS = 60


def quality(seed, level):
    """recall, ndcg, ndcg_kgat float [n, K] of made-up users; the same seed and level give the same."""
    noise = np.random.default_rng([seed, round(1000 * level)]).random((NUM_USERS, 1))
    recall = np.clip(level + 0.2 * (noise - 0.5), 0, 1) * np.linspace(1, 1.4, len(CUTOFFS))
    return recall, recall * 0.5, recall * 0.8


def run_folder(root, name, *, level=0.3, evaluated=True, timed=True, data="d0", content="c0", ranked=True, **changes):
    """One folder; changes are settings, with two underscores for a dot."""
    folder = root / name
    (folder / "eval").mkdir(parents=True)
    values = {key.replace("__", "."): value for key, value in changes.items()}
    config = override(KgPolicyConfig(), values)
    recorded = config_to_dict(config)
    (folder / "config.json").write_text(json.dumps(recorded))
    (folder / "run.json").write_text(json.dumps({"seed": config.seed, "data": data, "commit": "0" * 40}))
    (folder / "versions.json").write_text(json.dumps({"machine": "test", "jax": "0"}))
    rows = [
        {"stage": "warm", "step": 1, "valid_recall@20": 0.9, "gradient_magnitude": 0.5},
        {"stage": "fit", "step": 5, "valid_recall@20": level / 2, "gradient_magnitude": 0.4, "reward": 0.1},
        {"stage": "fit", "step": 10, "valid_recall@20": level, "gradient_magnitude": 0.3, "reward": 0.2},
        {"stage": "fit", "step": 15, "valid_recall@20": level / 3, "gradient_magnitude": 0.2, "reward": 0.3},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    users = np.arange(NUM_USERS) * 2
    if ranked:
        parts = dict(zip(("recall", "ndcg", "ndcg_kgat"), quality(config.seed, level), strict=True))
        counts = np.ones(NUM_USERS, bool)
        np.savez(folder / "eval" / "Sampler.npz", user=users, cutoffs=np.array(CUTOFFS), counts=counts, **parts)
    if evaluated:
        np.savez(folder / "eval" / "users.npz", user=users, train_items=1 + np.arange(NUM_USERS) % 7)
        numbers = {"false_negatives_test": 0.01, "false_negatives_valid": 0.02, "gradient_magnitude": 0.2}
        numbers |= {"reward": 1.5, "distinct": 0.5, "policy_entropy": None, "data": data, "content": content}
        (folder / "eval" / "diagnostics.json").write_text(json.dumps(numbers))
    if timed:
        seconds = 2.0 if config.sampler.name == "rns" else 20.0
        row = {"stage": "fit", "steps": 5, "seconds": seconds}
        (folder / "timing.jsonl").write_text(json.dumps(row) + "\n")
    return folder
