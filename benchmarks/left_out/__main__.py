"""Run the benchmark: python -m benchmarks.left_out."""

from benchmarks.left_out.run import main

main()
