"""Where models are kept: bundles packed into archives without code, one champion a project."""

from ml_backend.registry.bundle import Bundle, pack, recipe_beside, unpack
from ml_backend.registry.folder import FolderRegistry
from ml_backend.registry.protocol import Artefact, Ref, Registry, digest_of

__all__ = ["Artefact", "Bundle", "FolderRegistry", "Ref", "Registry", "digest_of", "pack", "recipe_beside", "unpack"]
