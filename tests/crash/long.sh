#!/bin/sh
# long.sh - as tests/crash/kill, with many more deaths
exec "${top_builddir:?}/tests/crash/kill" 400
