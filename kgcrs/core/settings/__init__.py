"""Static settings of KGenSam's parts: frozen dataclasses, free of JAX so that `--help` answers at once.

A field that a sweep may vary between lanes (a learning rate, a penalty) also lives in the `Hyper` NamedTuple of
the algorithm that uses it; the value here is its default. Everything else is static under `jit`.
"""

from kgcrs.core.settings.policies import ActiveConfig, DqnConfig, NegativeConfig
from kgcrs.core.settings.protocol import ProtocolConfig
from kgcrs.core.settings.recommender import FmConfig, UpdateConfig
from kgcrs.core.settings.run import AblationConfig, KgensamConfig

__all__ = [
    "AblationConfig",
    "ActiveConfig",
    "DqnConfig",
    "FmConfig",
    "KgensamConfig",
    "NegativeConfig",
    "ProtocolConfig",
    "UpdateConfig",
]
