"""Write what the reference answers to the backend battery: tests/golden/battery_digests.json.

The digests guard the definition against silent change. Run this when a case is added, or if the definition itself
was wrong, and say so in the commit.
"""

import json
from pathlib import Path

from pumice.testing.battery import digests

TARGET = Path(__file__).parents[1] / "tests/golden/battery_digests.json"

if __name__ == "__main__":
    TARGET.write_text(json.dumps(digests(), indent=1) + "\n")
    print(f"wrote {TARGET}")
