"""Random networks, other ones in each run: everything that can run one gives the same integers.

PUMICE_AUDIT_SEED=n repeats a run; `pumice audit --minutes N` goes on for longer.
"""

import os
import secrets

from pumice.testing import audit

NETWORKS = 80


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
