#!/usr/bin/env bash
# Run the suites in lava-nc's and lava-dl's wheels, unmodified, with pumice's import hook, in an empty environment:
#   scripts/test_lava_suites.sh [PYTHON] [FOLDERS]     (PYTHON: 3.13 if not given; FOLDERS: such as tests/lava/proc/lif)
# What fails must be what lava_suites.txt lists (behind a `?`: it may fail). Each test's outcome goes to
# build/lava-suites/PYTHON.txt, what pytest says to PYTHON.log.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-3.13}"
shift || true
scripts=$PWD/scripts
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
UV_PROJECT_ENVIRONMENT="$scratch/venv" uv sync --quiet --python "$python"
uv pip install --quiet --python "$scratch/venv" pytest-timeout psutil  # psutil: one of the tests imports it
version=$("$scratch/venv/bin/python" -c "import sys; print('%d.%d' % sys.version_info[:2])")
export LAVA_SUITES_TABLE="$PWD/build/lava-suites/$version.txt" MPLBACKEND=agg OMP_NUM_THREADS=1
mkdir -p build/lava-suites
log=${LAVA_SUITES_TABLE%.txt}.log
: >"$LAVA_SUITES_TABLE" >"$log" >"$scratch/listed"
cp -r "$scratch/venv/lib/python$version/site-packages/tests" "$scratch"  # tests write beside themselves
cd "$scratch"
[ $# -gt 0 ] || mapfile -t folders < <(find tests -name 'test_*.py' -printf '%h\n' | sort -u)

for folder in "${@:-${folders[@]}}"; do  # each in a process of its own: one that hangs or dies disturbs no other
  folder=${folder%/}
  echo "$folder"
  grep "^$folder/[^/]*$" "$scripts/lava_suites.txt" >>listed || true
  PYTHONPATH="$scripts" timeout --kill-after 10 3600 venv/bin/python -m pytest -p lava_suites -c /dev/null --rootdir . \
    -p no:cacheprovider -v --tb short --timeout 600 \
    --continue-on-collection-errors "$folder"/test_*.py >>"$log" 2>&1 || echo "died $folder" >>"$LAVA_SUITES_TABLE"
done
[ -s "$LAVA_SUITES_TABLE" ] || { echo "no tests" >&2; exit 1; }
echo "Python $version, NumPy $(venv/bin/python -c 'import numpy; print(numpy.__version__)'):"
cut -d ' ' -f 1 "$LAVA_SUITES_TABLE" | sort | uniq -c
echo "not as listed (<: is listed and does not fail; >: fails and is not listed):"
diff <(sort listed) <(sed -nE 's/^(failed|error|timeout|died) //p' "$LAVA_SUITES_TABLE" \
  | grep -vxFf <(sed -n 's/^? //p' "$scripts/lava_suites.txt") | sort -u) && echo "  none"
