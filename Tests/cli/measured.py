"""Runs a command within limits of time and memory, and ends with its exit code.

usage: measured.py SECONDS MEGABYTES COMMAND...
Ends with 1, and says so, when the command took longer or its peak resident memory was larger.
"""

import resource
import subprocess
import sys
import time

seconds, megabytes = float(sys.argv[1]), float(sys.argv[2])
began = time.monotonic()
code = subprocess.run(sys.argv[3:], check=False).returncode
took = time.monotonic() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
if took > seconds or peak > megabytes:
    sys.exit(f"took {took:.1f} s and {peak:.0f} MB; allowed are {seconds:g} s and {megabytes:g} MB (exit code {code})")
sys.exit(code)
