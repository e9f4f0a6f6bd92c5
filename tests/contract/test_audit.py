"""Random networks, other ones in each run: everything that can run one gives the same integers.

PUMICE_AUDIT_SEED=n repeats a run; `pumice audit --minutes N` goes on for longer.
"""

import os
import secrets

import pytest

from pumice.backends.fast.links.conv import ConvLink
from pumice.testing import audit
from pumice.testing.auditing.trial import FAILED

NETWORKS = 50


def test_networks_of_a_new_seed_are_equal_everywhere_or_refused(tmp_path):
    seed = int(os.environ.get("PUMICE_AUDIT_SEED") or secrets.randbits(31))
    print(f"PUMICE_AUDIT_SEED={seed}")
    report = audit(networks=NETWORKS, seed=seed, out=tmp_path)
    print(report)
    scripts = "\n\n".join(failure.script for failure in report.failures.values())
    assert not report.failures, f"PUMICE_AUDIT_SEED={seed}\n{report}\n\n{scripts}"
    assert report.networks == NETWORKS
    assert report.outcomes["equal"] > NETWORKS // 4
    assert report.integers > 100_000


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
