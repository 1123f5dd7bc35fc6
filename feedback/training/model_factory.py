"""Where models are made and loaded: one cache of features and one way to media a process, hosted models by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

from feedback.policy import Policy
from ml_backend.bytes_cache import cached_in_bytes
from ml_backend.errors import ArtefactError, UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.features.media import Media
from ml_backend.features.task_columns import FieldRule
from ml_backend.label_config import Control, LabelConfig
from ml_backend.models import DEFAULT_FEATURES, Recipe, recipe_for
from ml_backend.registry import Bundle, Registry, unpack

_Wanted: TypeAlias = tuple[Control, str, FieldRule]
_LOG = logging.getLogger(__name__)


class ModelFactory:
    """Makes recipes and loads artefacts; `hosted` names the hosted models that some project's policy asks for."""

    def __init__(self, hosted: Callable[[], Iterable[str]], *, media: Media | None = None) -> None:
        self._hosted = hosted
        self._media = media or Media()
        self._cache: FeatureCache[Any] = FeatureCache()
        # a look for plugins reads the metadata of every package that is installed
        self._recipe_for = cached_in_bytes(4 << 20, size_of=_size)(self._make_recipe)

    def recipe(self, config: LabelConfig, control: Control, policy: Policy) -> Recipe:
        """Return the recipe that the policy names, or the default of the control."""
        if policy.model.hosted:
            # reason: label-studio-ml is optional; only those who host a model need it
            from ml_backend.models.hosted import hosted

            return hosted(policy.model.hosted, label_config=config.xml, control=control)
        rule = FieldRule(policy.model.fields, policy.model.without_fields, config.texts)
        return self._recipe_for((control, policy.model.features, rule))

    def _make_recipe(self, wanted: _Wanted) -> Recipe:
        control, features, rule = wanted
        made = recipe_for(control, features=features, cache=self._cache, rule=rule)
        return next((recipe for recipe in self._fetching_recipes(rule) if recipe.name == made.name), made)

    def load(self, data: bytes, digest: str) -> Bundle:
        """Build a bundle; ArtefactError where its bytes are not those of `digest`, or its recipe is not here."""
        return unpack(data, digest, cache=self._cache, recipes=[*self._fetching_recipes(), *self._hosted_recipes()])

    def _fetching_recipes(self, rule: FieldRule | None = None) -> Iterable[Recipe]:
        """Yield the recipes that open what tasks point at, within the limits of `media`."""
        from ml_backend.models.image_classifier import ImageChoices

        for features in (DEFAULT_FEATURES, *ImageChoices.features):
            with suppress(UnknownName):  # its package is not installed
                yield ImageChoices(media=self._media, cache=self._cache, features=features, rule=rule)

    def _hosted_recipes(self) -> Iterable[Recipe]:
        for spec in sorted(set(self._hosted())):
            from ml_backend.models.hosted import hosted

            try:
                yield hosted(spec)
            except UnknownName as error:  # one broken name must not stop the other projects
                _LOG.warning("hosted model: %s", error)


def _size(wanted: _Wanted, _recipe: Recipe) -> int:
    return sum(100 + len(label) for label in wanted[0].labels)


def export_champion(registry: Registry, folder: Registry, project: str) -> None:
    """Copy a new champion into a folder, where `label-studio-ml start` and our adapter find it. Safe to repeat."""
    champion, known = registry.champion(project), folder.champion(project)
    if champion is None or (known is not None and known.version == champion.version):
        return
    try:
        folder.add(project, champion.version, registry.artefact(project, champion.version), {})
    except ArtefactError:
        return  # altered, which the turn says; what the folder has serves on
    folder.promote(project, champion.version)
