"""Run the benchmark: python -m benchmarks.several_images."""

from benchmarks.several_images.run import main

main()
