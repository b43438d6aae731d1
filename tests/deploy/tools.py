"""Running other programs, so that none of them outlives this one."""

import os
import signal
import subprocess


def run(*command, cwd=None, environment=None, quiet=False, reads=False):
    """Runs a command to its end. Quiet, it is heard only when it fails. Read, what it prints is returned."""
    output = subprocess.PIPE if quiet or reads else None
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(environment or {})}, text=True,
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT if quiet else None, start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        # The group: compilers are grandchildren.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if reads and not process.returncode:
        return said
    if process.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))} ended with {process.returncode}" + (f":\n{said}" if said else ""))
