"""Recipes that come with the package."""

from __future__ import annotations

from pumice.train.recipe import Recipe

PRESETS: dict[str, Recipe] = {
    "digits": Recipe(),
}
"""By name. "digits" is what `pumice demo` trains."""
