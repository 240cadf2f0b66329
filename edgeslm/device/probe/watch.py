"""A probe that does not outlive its use: it ends at its time limit, and when nobody listens any more."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading

BACKSTOP_S = 5


def limit_time(seconds: float) -> None:
    """End this process after `seconds`, whatever it is doing, and say on stderr where it was.

    faulthandler's watchdog is a thread in C that needs no interpreter lock, so native code that hangs is ended too;
    should even that fail, the kernel's alarm ends the process.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds) + BACKSTOP_S)


def end_with_stdin() -> None:
    """End this process as soon as its stdin is closed: the connection that asked for the probe is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGKILL)  # not an exit: native code may hold whatever an exit waits for

    threading.Thread(target=wait, name="stdin", daemon=True).start()
