"""Imports what takes long to import, then forks for each program that it is told to run.

A line of JSON comes in for each: its text, arguments, folder, environment, and the files that take what it prints.
Its exit code goes out.
"""

import contextlib
import json
import os
import sys
import traceback

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # lava-dl prints when it is imported

import lightning_fabric  # noqa: E402, F401 -- this and the next ones: what a training imports
import sklearn.model_selection  # noqa: E402, F401
import tonic  # noqa: E402, F401

import pumice.train  # noqa: E402, F401
from pumice.backends.lava.compiling import import_convolutions  # noqa: E402
from pumice.data import load_digits  # noqa: E402

import_convolutions()
load_digits()


def code_of(program):
    """What Python would exit with."""
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def forked(job):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        for stream, path in ((1, job["stdout"]), (2, job["stderr"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        sys.argv = ["program", *job["arguments"]]
        code = code_of(job["program"])
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


for line in sys.stdin:
    print(forked(json.loads(line)), file=answers)
