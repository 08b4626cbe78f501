"""Run all measurements of robustness: python -m benchmarks.robustness."""

import subprocess
import sys

from benchmarks.common.arguments import make_parser

PARTS = ("fuzz_reading", "scan_outcomes", "noise_labels")
parser = make_parser("robustness", f"{__doc__}\n\nParts: {', '.join(PARTS)}.", data=False, work=False, report=False)
arguments = parser.parse_args()
flags = [*(["--out", str(arguments.out)] if arguments.out else []), *(["--quick"] if arguments.quick else [])]
for part in PARTS:
    subprocess.run([sys.executable, "-m", f"benchmarks.robustness.{part}", *flags], check=True)
