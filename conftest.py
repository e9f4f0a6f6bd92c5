"""Before any test imports lava, which needs it on Python >= 3.11."""

import pumice  # noqa: F401
