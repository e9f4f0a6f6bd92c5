#!/usr/bin/env bash
# Networks of other frameworks against the frameworks themselves, and NIR files of ours in their readers:
#   scripts/test_peers.sh [snntorch|spikingjelly|norse|sinabs ...] [-- what pytest is to run]     (all if not given)
# Each framework is installed into a folder of its own beside the project's environment: their pins exclude each other.
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A packages=(
  [snntorch]="snntorch==1.0.0 nir==1.0.8 nirtorch==2.6"
  [spikingjelly]="spikingjelly==2.0.0 nir==1.0.8 nirtorch==2.6 loguru"
  [norse]="norse==1.1.0 nir==1.0.8 nirtorch==2.6"
  [sinabs]="sinabs==3.1.3 nir==1.0.8 nirtorch==2.6 pbr"  # its pin, nir 1.0.4, reads no v_reset
)
peers=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do peers+=("$1"); shift; done
[ "${1:-}" = -- ] && shift
[ ${#peers[@]} -gt 0 ] || peers=(snntorch spikingjelly norse sinabs)
python="${PUMICE_PYTHON:-$(uv run python -c 'import sys; print(sys.executable)')}"
folders=$(mktemp -d)
trap 'rm -rf "$folders"' EXIT
for peer in "${peers[@]}"; do
  [ -n "${packages[$peer]:-}" ] || { echo "no framework is called $peer; there are: ${!packages[*]}" >&2; exit 2; }
  echo "== ${packages[$peer]}"
  # shellcheck disable=SC2086 -- several packages
  uv pip install --quiet --python "$python" --target "$folders/$peer" --no-deps ${packages[$peer]}
  PYTHONPATH="$folders/$peer" "$python" -W ignore -c "import $peer"  # or its tests would be skipped
  # The frameworks' own warnings are theirs.
  PYTHONPATH="$folders/$peer${PYTHONPATH:+:$PYTHONPATH}" "$python" -m pytest -n 0 -m "slow or not slow" \
    -W ignore::FutureWarning -W ignore::UserWarning -W default::pumice.errors.PumiceWarning \
    "tests/unit/frameworks/test_$peer.py" tests/peers "$@"
  for tutorial in tutorials/*_from_"$peer".py; do
    [ ! -e "$tutorial" ] || PYTHONPATH="$folders/$peer${PYTHONPATH:+:$PYTHONPATH}" "$python" "$tutorial"
  done
done
