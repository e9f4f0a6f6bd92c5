from types import SimpleNamespace

from pumice.data import DirectEncoder
from pumice.train import trained


class Own(DirectEncoder):
    """A user's encoder: it may draw."""

    def encode(self, samples, rng):
        return super().encode(samples, rng)


def test_samples_of_an_encoder_that_may_draw_are_not_shared(tiny_recipe, digits, monkeypatch):
    """Each process would draw for its share what belongs to others."""
    run = trained.start(tiny_recipe, digits)
    monkeypatch.setattr(trained, "build_encoder", lambda recipe, _: Own(recipe.data.steps, (0, 16)))
    assert run.test_accuracy(SimpleNamespace(world_size=2, global_rank=1)) == run.test_accuracy()
