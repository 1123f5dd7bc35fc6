"""Store models: bundles packed into archives without code, and one champion per project."""

from ml_backend.registry.folder_registry import FolderRegistry
from ml_backend.registry.model_bundle import Bundle, pack, recipe_with_indicators, unpack
from ml_backend.registry.protocol import Artefact, ModelRef, Registry, digest_of

__all__ = [
    "Artefact",
    "Bundle",
    "FolderRegistry",
    "ModelRef",
    "Registry",
    "digest_of",
    "pack",
    "recipe_with_indicators",
    "unpack",
]
