"""What a wheel and an sdist must hold, and must not: python scripts/check_distributions.py FILE ..."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

NEEDED = (
    "pumice/py.typed",
    "pumice/netx/FORMAT.md",
    "pumice/cli/template/recipe.toml",
    "pumice/reporting/page.css",
    "pumice/reporting/page.js",
)
FORBIDDEN = re.compile(r"(^|/)(tests|benchmarks|runs|\.venv|__pycache__|uv\.lock|\.git)(/|$)")


def main(paths: list[Path]) -> None:
    """Check each; an assertion says what is wrong."""
    version = re.search(r'__version__ = "(.+)"', Path("src/pumice/__init__.py").read_text(encoding="utf-8"))
    assert version is not None
    wheels, sdists = ([p for p in paths if p.name.endswith(suffix)] for suffix in (".whl", ".tar.gz"))
    assert len(wheels) == len(sdists) == 1, paths
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        info = f"pumice-{version[1]}.dist-info"
        assert set(NEEDED) <= names, set(NEEDED) - names
        assert f"{info}/licenses/LICENSE" in names
        assert {name.partition("/")[0] for name in names} == {"pumice", info}
        assert not [name for name in names if FORBIDDEN.search(name)]
        metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == version[1]
    assert metadata["License-Expression"] == "BSD-3-Clause"
    required = metadata.get_all("Requires-Dist", [])
    assert not [line for line in required if line.startswith("lava")]
    gpl = [line for line in required if line.startswith("tonic")]
    assert gpl == ["tonic>=1.6; extra == 'tonic'"], gpl
    with tarfile.open(sdists[0]) as sdist:
        held = sdist.getnames()
    assert not [name for name in held if re.search(r"(^|/)(runs|\.venv|__pycache__|uv\.lock)(/|$)", name)]
    assert any(name.endswith("/src/pumice/py.typed") for name in held)
    print(f"{wheels[0].name}: {len(names)} files, {wheels[0].stat().st_size / 1e6:.1f} MB")
    print(f"{sdists[0].name}: {len(held)} files, {sdists[0].stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
