"""Parts that several benchmarks share: the command line, result files, tables, pages, timing."""
