"""Random networks, other ones in each run: everything that can run one gives the same integers.

PUMICE_AUDIT_SEED=n repeats a run; `pumice audit --minutes N` goes on for longer.
"""

import json
import os
import secrets

import pytest

from pumice.backends.fast.links.conv import ConvLink
from pumice.testing import audit
from pumice.testing.auditing.trial import FAILED

NETWORKS = 50
AUDIT = """
import json, sys
from pumice.testing import audit
report = audit(networks=int(sys.argv[1]), seed=int(sys.argv[2]), out=".", isolated=False)
print(report, *(failure.script for failure in report.failures.values()), sep="\\n\\n", file=sys.stderr)
print(json.dumps([len(report.failures), report.networks, report.outcomes["equal"], report.integers]))
"""


def test_networks_of_a_new_seed_are_equal_everywhere_or_refused(tmp_path, run_warm):
    """In another process, which a network may end."""
    seed = int(os.environ.get("PUMICE_AUDIT_SEED") or secrets.randbits(31))
    print(f"PUMICE_AUDIT_SEED={seed}")
    done = run_warm(AUDIT, str(NETWORKS), str(seed), folder=tmp_path, timeout=1200)
    print(done.stderr)
    assert done.returncode == 0
    failures, networks, equal, integers = json.loads(done.stdout.splitlines()[-1])
    assert failures == 0
    assert networks == NETWORKS
    assert equal > NETWORKS // 4
    assert integers > 100_000


class _FoundError(Exception):
    """Ends an audit at its first failure, before it is made smaller."""


def test_a_backend_that_is_off_by_one_in_one_kind_is_found(monkeypatch):
    """Teeth: among so many networks as above, whatever is wrong with one kind shows."""

    def off_by_one(self, arriving, activation):
        right(self, arriving, activation)
        activation[..., 0] += arriving.any()

    def stop(index, outcome):
        if outcome.kind == FAILED:
            raise _FoundError(index, outcome.reason)

    right = ConvLink._add
    monkeypatch.setattr(ConvLink, "_add", off_by_one)
    with pytest.raises(_FoundError) as found:
        audit(networks=NETWORKS, seed=1, isolated=False, on_case=stop)
    assert found.value.args[1] == "difference: fast and reference"
