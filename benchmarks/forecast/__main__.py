"""Run the benchmark: python -m benchmarks.forecast."""

from benchmarks.forecast.run import main

main()
