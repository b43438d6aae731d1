"""Signals that stop a program, but do not interrupt its cleanup."""

import signal

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals():
    """The first of these signals from now on raises `KeyboardInterrupt`."""
    for number in NUMBERS:
        signal.signal(number, stop)


def ignore_signals():
    """Ignores these signals from now on. Call this in a `finally` inside the `try` whose `finally` cleans up, so that no
    signal arrives between the two."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def stop(*_):
    ignore_signals()
    raise KeyboardInterrupt
