"""Runs other programs, and stops them when this one stops."""

import os
import signal
import subprocess
from contextlib import contextmanager


class ProgramFailed(SystemExit):
    """A command failed. Unless this is caught, this program exits with the output of the command."""

    def __init__(self, command, status, output):
        super().__init__(f"error: {' '.join(map(str, command))} failed with status {status}" + (f":\n{output}" if output else ""))
        self.status = status


@contextmanager
def background(*command, cwd, environment, log):
    """Runs a command with low priority during the `with` block, which gets a function that waits for it."""
    with log.open("w") as file:
        process = subprocess.Popen(
            ["nice", "-n", "19", *map(str, command)], cwd=cwd, env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, process_group=0,
        )

    def wait():
        if process.wait():
            raise ProgramFailed(command, process.returncode, log.read_text())

    try:
        yield wait
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(*command, cwd=None, environment=None, quiet=False, capture=False, answers=None):
    """Runs a command. With `quiet` or `capture`, prints its output only if it fails. With `capture`, returns its standard
    output. `answers` are the lines of its standard input, which is empty otherwise."""
    stdout = subprocess.PIPE if quiet or capture else None
    stderr = subprocess.STDOUT if quiet else stdout
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(environment or {})}, text=True,
        stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, process_group=0,
    )
    try:
        output, errors = process.communicate("".join(f"{answer}\n" for answer in answers or []))
    except BaseException:
        # Kill the process group, because compilers are grandchildren.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if capture and not process.returncode:
        return output
    if process.returncode:
        raise ProgramFailed(command, process.returncode, "".join(filter(None, (output, errors))))
