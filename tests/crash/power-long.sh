#!/bin/sh
# power-long.sh - as tests/crash/power, with many more cuts
exec "${top_builddir:?}/tests/crash/power" 240
