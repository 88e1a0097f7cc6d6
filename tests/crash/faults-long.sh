#!/bin/sh
# faults-long.sh - as tests/crash/faults, with every call (of some classes every 4th or 16th)
exec "${top_builddir:?}/tests/crash/faults" 1
