"""Run the benchmark: python -m benchmarks.active_learning."""

from benchmarks.active_learning.run import main

main()
