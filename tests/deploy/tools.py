"""Runs other programs, and stops them when this one stops."""

import os
import signal
import subprocess


def run(*command, cwd=None, environment=None, quiet=False, capture=False):
    """Runs a command. With `quiet`, prints its output only if it fails. With `capture`, returns its standard output."""
    stdout = subprocess.PIPE if quiet or capture else None
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(environment or {})}, text=True,
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT if quiet else None, start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        # Kill the process group, because compilers are grandchildren.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if capture and not process.returncode:
        return output
    if process.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))} failed with status {process.returncode}" + (f":\n{output}" if output else ""))
