"""Run all measurements of speed, or some of them: python -m benchmarks.speed [PART...]."""

import subprocess
import sys

from benchmarks.common.arguments import make_parser, parse
from benchmarks.speed.report import PARTS, write_report


def main() -> None:
    parser = make_parser("speed", __doc__, data=False, work=False)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    arguments = parse(parser)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    if arguments.report:
        write_report(arguments.places)
        return
    flags = ["--out", str(arguments.out), *(["--quick"] if arguments.quick else [])]
    for part in arguments.parts or PARTS:
        command = [f"benchmarks.speed.{part}", *flags]
        if part == "check_million":
            command = ["benchmarks.speed.check", "--million", *flags]
        print(f"\n{part}", flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)


main()
