"""What a KGSF run is called: its method, its ablations, and the settings in which it differs from the main run.

Functions read flat settings, dotted names to values. A setting that this page has never heard of is printed by its
own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgcrs.core.settings.kgsf import REPLIES_ONLY

Flat = dict[str, Any]
MODELS = {
    "transformer": "Transformer",
    "textcnn": "TextCNN",
    "redial": "ReDial",
    "kbrd": "KBRD",
    "kecrs": "KECRS",
    "revcore": "RevCore",
    "kgsf": "KGSF",
}
"""Names as printed, in the order of the tables."""
_ABLATIONS: dict[tuple[str, Any], str] = {
    ("dialogue.kg", False): "w/o KG-D",
    ("dialogue.copy", False): "w/o copy",
    ("dialogue.train_copy", False): "copying untrained",
    ("dialogue.joint", True): "all trained with the replies",
}
TEXT_SHARE = "recommend.text_share"
_PLAIN_SECTIONS = ("preference", "recommend")


def recommender_settings(flat: Mapping[str, Any]) -> Flat:
    """Those that the ranking of items depends on.

    >>> recommender_settings({"recommend.lr": 0.1, "reply.lr": 0.2})
    {'recommend.lr': 0.1}
    """
    return {name: value for name, value in flat.items() if name.partition(".")[0] not in REPLIES_ONLY}


def without_infomax(flat: Mapping[str, Any]) -> Flat:
    """Those that the ranking depends on, whatever infomax does."""
    return {name: value for name, value in recommender_settings(flat).items() if "mim_" not in name}


def method_name(flat: Mapping[str, Any]) -> str:
    """The method without its ablations: KGSF without the word graph ranks as KBRD does, and is called so.

    It does not write as KBRD does, so settings with a section on replies are KGSF's.
    """
    model = flat.get("model", "kgsf")
    if model == "kgsf" and not flat["preference.words"] and "dialogue.kg" not in flat:
        model = "kbrd"
    return MODELS.get(model, str(model))


def ablations(flat: Mapping[str, Any]) -> list[str]:
    """What is taken away from the method, in the words of the paper."""
    told = []
    if method_name(flat) == "KGSF":
        if not flat["preference.entities"]:
            told.append("−DB")
        elif not flat["preference.words"]:
            told.append("−words")
        elif not flat["recommend.mim_epochs"] and not flat["recommend.mim_weight"]:
            told.append("−MIM")
    if flat.get(TEXT_SHARE, 1.0) < 1:
        told.append(f"{100 * flat[TEXT_SHARE]:g} % of the text")
    return told + [words for (name, value), words in _ABLATIONS.items() if name in flat and flat[name] is value]


def label(flat: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    """Name of a row: "KGSF", "KGSF −MIM", "KGSF, w/o copy", "KBRD, dim 64".

    Args:
      flat: of the run. main: of its method's main run, whose settings go without saying, ablations excepted.
    """
    told = ablations(flat)
    graphs = " ".join(["", *(words for words in told if words.startswith("−"))])
    said = {TEXT_SHARE, *(name for name, _ in _ABLATIONS)}
    if graphs or method_name(flat) == "KBRD":
        said |= {"preference.entities", "preference.words", "recommend.mim_epochs", "recommend.mim_weight", "model"}
    rest = [phrase(name, value) for name, value in flat.items() if value != main.get(name, value) and name not in said]
    parts = [words for words in told if not words.startswith("−")] + rest
    return ", ".join([f"{method_name(flat)}{graphs.rstrip()}", *parts])


def phrase(name: str, value: Any) -> str:
    """One setting in words.

    >>> phrase("recommend.lr", 0.01), phrase("reply.lr", 0.01), phrase("dataset", "redial_tmkg")
    ('lr 0.01', 'reply lr 0.01', 'on redial_tmkg')
    """
    if name == "dataset":
        return f"on {value}"
    section, _, last = name.rpartition(".")
    words = last.replace("_", " ") if section in (*_PLAIN_SECTIONS, "") else f"{section} {last.replace('_', ' ')}"
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def table_place(method: str) -> int:
    """Where a method stands in a table; an unknown one comes last."""
    names = list(MODELS.values())
    return names.index(method) if method in names else len(names)
