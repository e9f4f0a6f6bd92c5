"""Of `test_lava_suites.sh`, a plugin of pytest: outcomes into a table, and an end whatever Lava's runtimes do."""

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

import pumice  # noqa: F401  -- its import hook


def pytest_unconfigure(config):
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    outcomes = [(kind, r) for kind in ("passed", "failed", "error", "skipped") for r in stats.get(kind, ())]
    lines = [f"{'timeout' if _timed_out(report) else kind} {report.nodeid}\n" for kind, report in outcomes]
    with Path(os.environ["LAVA_SUITES_TABLE"]).open("a") as table:
        table.writelines(sorted(lines))
    for process in multiprocessing.active_children():  # failed tests leave some, and exit would wait for them
        process.kill()
    sys.stdout.flush()
    status = config.pluginmanager.get_plugin("session").exitstatus
    os._exit(0 if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else status)


def _timed_out(report):
    return report.failed and "Failed: Timeout" in report.longreprtext
