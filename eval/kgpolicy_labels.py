"""What a run is called: its sampler, its recommender, and the settings in which it differs from the method's main run.

Settings that a sampler does not read are left out (M of DNS says nothing about RNS), so runs that did the same count
as equal. A setting this page has never heard of counts for every sampler and is printed by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.run_flags import dotted_settings
from kgcrs.core.settings.kgpolicy import KgPolicyConfig

Flat = dict[str, Any]
SAMPLERS = {
    "rns": "RNS",
    "pns": "PNS",
    "rws": "RWS",
    "dns": "DNS",
    "reward_dns": "Reward-DNS",
    "kg_dns": "KG-DNS",
    "mixed": "Mixed",
    "irgan": "IRGAN",
    "advir": "AdvIR",
    "nmrn": "NMRN",
    "kgpolicy": "KGPolicy",
}
"""Names as printed, in the order of the tables."""
MODELS = {
    "mf": "MF",
    "fm": "FM",
    "lightgcn": "LightGCN",
    "nfm": "NFM",
    "cke": "CKE",
    "ripple_net": "RippleNet",
    "kgat": "KGAT",
    "popularity": "Most popular",
}
_GENERATORS = ("irgan", "advir", "nmrn")
_READ_BY: dict[str, tuple[str, ...]] = {
    "num_candidates": ("dns", "reward_dns", "kg_dns", "mixed"),
    "pool_size": _GENERATORS,
    "temperature": _GENERATORS,
    "perturbation": ("advir",),
    "memory_slots": ("nmrn",),
    "memory_radius": ("nmrn",),
    "popularity_exponent": ("pns",),
    "explorations": ("rws", "kgpolicy"),
    "hop_types": ("rws", "kg_dns", "mixed", "kgpolicy"),
    "lr": (*_GENERATORS, "kgpolicy"),
    "optimizer": _GENERATORS,
    "pretrained": _GENERATORS,
    "prediction": ("reward_dns", "kgpolicy"),
    "similarity": ("reward_dns", "kgpolicy"),
    **dict.fromkeys(
        (
            "num_neighbours",
            "num_kept",
            "random_items",
            "random_nodes",
            "num_layers",
            "gnn_every",
            "discount",
            "entropy_bonus",
            "credit",
            "selection",
            "pool",
            "final_pick",
            "gradient",
            "learns",
            "shuffle_rewards",
        ),
        ("kgpolicy",),
    ),
}
"""Which samplers read a setting of the section `sampler`; those not named here count for all."""
_MODELS_READ: dict[str, tuple[str, ...]] = {
    "side_weight": ("cke", "kgat", "ripple_net"),
    "dropout": ("nfm", "kgat"),
    "hops": ("ripple_net",),
    "memory_size": ("ripple_net",),
    **dict.fromkeys(("mf_epochs", "mf_lr", "mf_l2"), ("fm", "lightgcn", "nfm", "cke", "ripple_net", "kgat")),
}
"""Which recommenders read a setting of the section `bpr`; those not named here count for all."""
_ALWAYS_TOLD = {
    "dns": "sampler.num_candidates",
    "reward_dns": "sampler.num_candidates",
    "kg_dns": "sampler.num_candidates",
    "mixed": "sampler.num_candidates",
    "pns": "sampler.popularity_exponent",
}
"""Part of the name even of a method's main run: without it the name says little."""
PUBLISHED_METHOD: Flat = {
    "sampler.selection": "sample",
    "sampler.learns": True,
    "sampler.shuffle_rewards": False,
    "sampler.hop_types": "both",
    "sampler.credit": "to_go",
    "sampler.explorations": 2,
    "sampler.pool": "two_hop",
    "sampler.final_pick": "sample",
    "bpr.positive_draw": "interaction",
}
"""What ablations change; a method's main run changes as little of it as any."""
_WORDS: dict[str, dict[Any, str]] = {
    "sampler.selection": {"uniform": "uniform walk", "sample": "learned walk"},
    "sampler.learns": {False: "frozen", True: "learning"},
    "sampler.shuffle_rewards": {True: "shuffled rewards", False: "own rewards"},
    "sampler.hop_types": {"kg": "kg hops only", "cf": "interaction hops only", "both": "all hops"},
    "sampler.credit": {"immediate": "immediate credit", "to_go": "reward to go"},
    "sampler.final_pick": {"best": "final pick best scored", "sample": "final pick sampled"},
    "sampler.pool": {"uniform": "uniform pool", "two_hop": "two-hop pool"},
    "sampler.gradient": {"expected": "expected gradient", "sampled": "sampled gradient"},
    "bpr.positive_draw": {"user": "positives by user", "interaction": "positives by interaction"},
    "bpr.warm_epochs": {0: "no warm start"},
    "bpr.mf_epochs": {0: "random start"},
}
_SHORT = {
    "sampler.explorations": "T = {}",
    "sampler.num_candidates": "M = {}",
    "sampler.popularity_exponent": "β = {}",
    "sampler.num_neighbours": "n1 = {}",
    "sampler.num_kept": "n2 = {}",
    "sampler.random_items": "{} random items",
    "sampler.random_nodes": "{} random nodes",
    "sampler.num_layers": "L = {}",
    "sampler.gnn_every": "graph learned every {} batches",
    "sampler.discount": "γ = {}",
    "sampler.lr": "sampler lr {}",
    "bpr.dim": "d = {}",
    "bpr.warm_epochs": "{} warm epochs",
    "bpr.mf_epochs": "from {} epochs of MF",
}


def flat_settings(config: KgPolicyConfig) -> Flat:
    """Settings that matter to what is trained, the seed left out, as dotted names."""
    flat = dotted_settings(config)
    sampler = flat["sampler.name"]
    unread = [f"sampler.{name}" for name, readers in _READ_BY.items() if sampler not in readers]
    # NMRN brings its own recommender.
    model = "" if sampler == "nmrn" else flat["bpr.model"]
    unread += [f"bpr.{name}" for name, readers in _MODELS_READ.items() if model not in readers]
    unread += [] if model else ["bpr.model"]
    unread += [] if flat["bpr.mf_epochs"] else ["bpr.mf_lr", "bpr.mf_l2"]
    return {name: value for name, value in flat.items() if name not in unread}


def method_name(flat: Mapping[str, Any]) -> str:
    """Sampler and, unless it is matrix factorisation, recommender: "KGPolicy", "RNS on LightGCN"."""
    sampler = SAMPLERS.get(flat["sampler.name"], str(flat["sampler.name"]))
    model = flat.get("bpr.model", "mf")
    if model == "popularity":
        return MODELS[model]  # negatives change nothing
    return sampler if model == "mf" else f"{sampler} on {MODELS.get(model, model)}"


def rewards_of(flat: Mapping[str, Any]) -> str:
    """ "both", "prediction" (P-reward) or "similarity" (S-reward): which parts of Eq. 7 pay the policy."""
    prediction, similarity = flat.get("sampler.prediction", 1.0), flat.get("sampler.similarity", 1.0)
    return "similarity" if prediction == 0 else "prediction" if similarity == 0 else "both"


def num_changes(flat: Mapping[str, Any]) -> int:
    """How many ablations a run is."""
    changed = sum(name in flat and flat[name] != value for name, value in PUBLISHED_METHOD.items())
    return changed + (rewards_of(flat) != "both")


def differences(flat: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """The settings in which a run differs from another one of its method, in words."""
    told, names = [], [name for name in flat if flat[name] != main.get(name)]
    weights = ("sampler.prediction", "sampler.similarity")
    if any(name in names for name in weights) and rewards_of(flat) != rewards_of(main):
        told.append({"similarity": "S-reward", "prediction": "P-reward", "both": "both rewards"}[rewards_of(flat)])
        # A weight of 0 is what the word says; another one is told beside it.
        names = [name for name in names if name not in weights or flat[name] != 0]
    return told + [phrase(name, flat[name]) for name in names]


def phrase(name: str, value: Any) -> str:
    """One setting in words.

    >>> phrase("sampler.explorations", 1), phrase("sampler.learns", False), phrase("bpr.batch_size", 64)
    ('T = 1', 'frozen', 'batch size 64')
    """
    words = _WORDS.get(name, {})
    # 0 and False are equal to Python; a word for one must not name the other.
    said = next((text for key, text in words.items() if key == value and type(key) is type(value)), None)
    if said is not None:
        return said
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return _SHORT.get(name, name.rpartition(".")[2].replace("_", " ") + " {}").format(shown)


def always_told(flat: Mapping[str, Any]) -> list[str]:
    """What a method's name is not complete without: "M = 16"."""
    name = _ALWAYS_TOLD.get(flat["sampler.name"])
    return [phrase(name, flat[name])] if name else []


def label(flat: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    """Name of a row: "KGPolicy", "KGPolicy, T = 1", "DNS, M = 16"."""
    # Even a main row says where it leaves the published method.
    changed = [phrase(name, flat[name]) for name, usual in PUBLISHED_METHOD.items() if flat.get(name, usual) != usual]
    parts = dict.fromkeys([*always_told(flat), *changed, *differences(flat, main)])
    return ", ".join([method_name(flat), *parts])
