"""Run the examples of all commands with sockets forbidden; print one JSON line about what was tried.

Run as `python watched.py ARGUMENTS...`, where each argument is a command line as JSON. Quickstart is made short, and
`check` starts worker processes for few files, too.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
tried: list[str] = []
written: set[str] = set()


def watch(event: str, arguments: tuple) -> None:
    if event in FORBIDDEN:
        tried.append(f"{event}{arguments[1:]}")
        raise PermissionError(f"{event} is forbidden")
    if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[1], str):
        if set(arguments[1]) & set("wax+"):
            written.add(str(Path(arguments[0]).absolute()))
    elif event in ("os.mkdir", "os.rename"):
        target = arguments[1 if event == "os.rename" else 0]
        written.add(str(Path(target).absolute()) if isinstance(target, str | Path) else "")


def shorten() -> None:
    from medshot.audit import measuring
    from medshot.cli import demonstration

    measuring._WORTH_PROCESSES = 1
    demonstration.SETTINGS = replace(demonstration.SETTINGS, steps=2, validate_every=2)
    demonstration.EPISODES = demonstration.UNTRAINED_EPISODES = 1


def main() -> None:
    from medshot import cli

    codes: dict[str, int] = {}
    for line in sys.argv[1:]:
        command = json.loads(line)
        sys.argv = ["medshot", *command]
        started = time.monotonic()
        try:
            cli.main()
            codes[command[0]] = 0
        except SystemExit as stop:
            codes[command[0]] = int(stop.code or 0)
        if command[0] == "--help":  # it imports none of these
            shorten()
        print(f"{command[0]} took {time.monotonic() - started:.0f} s", file=sys.stderr)
    print("\n" + json.dumps({"codes": codes, "tried": tried, "written": sorted(written - {""})}))


if __name__ == "__main__":  # worker processes import this file
    sys.addaudithook(watch)
    main()
