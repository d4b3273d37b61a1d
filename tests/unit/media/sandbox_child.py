"""A child for the sandbox's tests: it does what it is told, good or bad."""

from __future__ import annotations

import os
import signal
import sys
import time

from mediafm.errors import UnusableMediaError
from mediafm.media.sandbox import read_message, write_message


def main() -> None:
    _, read_descriptor, write_descriptor = (int(argument) for argument in sys.argv[1:])
    with os.fdopen(read_descriptor, "rb") as source, os.fdopen(write_descriptor, "wb") as answers:
        while True:
            order = read_message(source.read).header
            if order["do"] == "count":
                for number in range(order["to"]):
                    write_message(answers, {"number": number, "pid": os.getpid()}, [bytes([number])] * number)
                write_message(answers, {"is_done": True})
            elif order["do"] == "die":
                write_message(answers, {"number": 0})
                os.kill(os.getpid(), signal.SIGSEGV)
            elif order["do"] == "hang":
                time.sleep(3600)
            elif order["do"] == "drip":
                while True:
                    time.sleep(0.05)
                    write_message(answers, {"number": 0})
            elif order["do"] == "refuse":
                error = UnusableMediaError("an odd file", rule="files are even", where="here", remedy="Even it.")
                write_message(answers, {"error": error.as_dict()})
            elif order["do"] == "chatter":
                print("noise on stdout", flush=True)
                write_message(answers, {"is_done": True, "environment": dict(os.environ)})
            elif order["do"] == "lie":
                answers.write(b"\xff\xff\xff\xff")
                answers.flush()


if __name__ == "__main__":
    main()
