"""Run the benchmark: python -m benchmarks.films."""

from benchmarks.films.run import main

main()
