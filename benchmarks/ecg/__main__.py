"""Run the benchmark: python -m benchmarks.ecg."""

from benchmarks.ecg.run import main

main()
