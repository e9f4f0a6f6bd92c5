"""What a recipe says of its samples, and these: torch is not needed."""

from pumice.data.recipe.recorded import RecordedTest, recorded_test
from pumice.data.recipe.samples import build_encoder, prepare_data
from pumice.data.recipe.schema import DataRecipe, DataSection

__all__ = ["DataRecipe", "DataSection", "RecordedTest", "build_encoder", "prepare_data", "recorded_test"]
