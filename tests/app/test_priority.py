"""Who goes first, as the operating system tells it: in a process of its own, which loses its priority."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mrpc.app.priority import AUTOGROUP, NICENESS_OF_A_TRAINING, NICENESS_OF_PAGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")

CODE = """
import contextlib, json, os, subprocess, sys, threading
import psutil
from mrpc.app import priority

ways = contextlib.ExitStack()
if sys.argv[1] == "others reach it":
    ways.enter_context(priority.pages_second())

def niceness_of_a_page():
    found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

found = []
thread = threading.Thread(target=niceness_of_a_page)
thread.start()
thread.join()
command = [sys.executable, "-c", "input()"]
training = priority.start_first(
    lambda: subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
)
priority.lower(psutil.Process(training.pid))
autogroups = [open(f"/proc/{pid}/autogroup").read().split()[-1] for pid in (os.getpid(), training.pid)
              if priority.AUTOGROUP.exists()]
ways.close()
if priority.AUTOGROUP.exists():
    autogroups.append(priority.AUTOGROUP.read_text().split()[-1])
print(json.dumps([found[0], psutil.Process(training.pid).nice(), autogroups]))
training.communicate(b"\\n")
"""


def niceness(where: str) -> tuple[int, int, list[str]]:
    """Return that of a thread that answers a page, that of a training, and those of their sessions."""
    command = [sys.executable, "-c", CODE, where]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    page, training, autogroups = json.loads(done.stdout)
    return page, training, autogroups


def test_on_ones_own_machine_the_page_goes_first() -> None:
    page, training, autogroups = niceness("alone")
    assert (page, training) == (os.nice(0), NICENESS_OF_A_TRAINING)
    assert set(autogroups) <= {"0"}


def test_an_app_that_others_reach_comes_after_its_trainings() -> None:
    page, training, autogroups = niceness("others reach it")
    assert (page, training) == (os.nice(0) + NICENESS_OF_PAGES, os.nice(0))
    assert autogroups == ([str(NICENESS_OF_PAGES), "0", "0"] if AUTOGROUP.exists() else [])  # and afterwards
