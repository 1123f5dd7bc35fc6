"""Where models are kept: bundles packed into archives without code, one champion a project."""

from .bundle import Bundle, pack, recipe_beside, unpack
from .folder import FolderRegistry
from .protocol import Artefact, Ref, Registry, digest_of

__all__ = ["Artefact", "Bundle", "FolderRegistry", "Ref", "Registry", "digest_of", "pack", "recipe_beside", "unpack"]
