"""Signals that stop a program, but do not interrupt its cleanup."""

import signal

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals():
    """The first of these signals from now on raises `KeyboardInterrupt`."""
    for number in NUMBERS:
        signal.signal(number, stop)


def ignore_signals():
    """Ignores these signals from now on. To be called in a `finally` within the `try` whose `finally` cleans up, so that no
    signal comes between both."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def stop(*_):
    ignore_signals()
    raise KeyboardInterrupt
