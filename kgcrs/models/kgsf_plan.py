"""What a KGSF recommender consists of: sizes, choices, and the presets of those choices (spec section 3)."""

from __future__ import annotations

from typing import Any, NamedTuple

from kgcrs.core.errors import KgcrsError, closest

MIM_MODES = ("mse_full", "eq4", "bce_sampled")
SOFTMAXES = ("items", "nodes")


class KgsfPlan(NamedTuple):
    """Static settings; hashable.

    num_items, num_entities, num_words: I, N >= I and W. num_relations: R of the graph, its self-loop among them.
    dim: d. num_bases: of the relations. rgcn_input: "onehot" or "embed". rgcn_norm: "sum" or "mean_rel".
    entity_activation, word_activation: "none" or "relu". gate: "paper" or "official". item_bias: adds one per item.
    softmax: what training compares a target with, "items" or all "nodes"; recommending always ranks items.
    mim: "mse_full", "eq4" or "bce_sampled". bidirectional: align the pooled entities with the words, too.
    entities, words: which of the two channels there are; without entities, items have free vectors.
    """

    num_items: int
    num_entities: int
    num_words: int
    num_relations: int
    dim: int = 128
    num_bases: int = 8
    rgcn_input: str = "onehot"
    rgcn_norm: str = "sum"
    entity_activation: str = "none"
    word_activation: str = "none"
    gate: str = "paper"
    item_bias: bool = True
    softmax: str = "items"
    mim: str = "mse_full"
    bidirectional: bool = False
    entities: bool = True
    words: bool = True


PRESETS: dict[str, dict[str, Any]] = {
    "kgsf_fixed": {},
    "kgsf_paper": {
        "rgcn_norm": "mean_rel",
        "entity_activation": "relu",
        "word_activation": "relu",
        "item_bias": False,
        "mim": "eq4",
    },
    "kgsf_official": {"gate": "official", "softmax": "nodes"},
}
"""`kgsf_fixed`: the released behaviour without its defects. `kgsf_paper`: the equations as printed; Z is read as the
number of neighbours under a relation. `kgsf_official`: the released choices, for curves to compare with only."""


def kgsf_plan(preset: str, num_items: int, num_entities: int, num_words: int, num_relations: int) -> KgsfPlan:
    """The settings of a preset for these sizes; change single ones by `_replace`.

    Raises:
      KgcrsError: an unknown preset, or sizes that no data set has.
    """
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise KgcrsError(f"preset is '{preset}', which is unknown: choose one of {known}.{closest(preset, PRESETS)}")
    plan = KgsfPlan(num_items, num_entities, num_words, num_relations, **PRESETS[preset])
    check_kgsf_plan(plan)
    return plan


def check_kgsf_plan(plan: KgsfPlan) -> None:
    """Checks what no other function does.

    Raises:
      KgcrsError: fewer entities than items, no channel, or an unknown choice.
    """
    if not 0 < plan.num_items <= plan.num_entities:
        raise KgcrsError(
            f"num_entities is {plan.num_entities} for {plan.num_items} items: items are the first entities, so give "
            "at least as many entities, and one item or more."
        )
    if not (plan.entities or plan.words):
        raise KgcrsError("entities and words are both off, which leaves nothing to read: turn one of them on.")
    for name, value, known in (("softmax", plan.softmax, SOFTMAXES), ("mim", plan.mim, MIM_MODES)):
        if value not in known:
            raise KgcrsError(f"{name} is '{value}', which is unknown: choose one of {', '.join(known)}.")
