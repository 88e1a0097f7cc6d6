#!/bin/sh
# run.sh with five million mutations, another seed each time
FUZZ_RUNS=5000000
FUZZ_SECONDS=600
FUZZ_SEED=$(date +%s)
. "${top_srcdir:?}/tests/fuzz/run.sh"
