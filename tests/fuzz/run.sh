#!/bin/sh
# Every fuzz target stands its corpus and a hundred thousand mutations of it. The
# seed is fixed, so that a failure shows again; see long.sh for more.
. "${top_srcdir:?}/tests/lib.sh"

runs=${FUZZ_RUNS:-100000}
seed=${FUZZ_SEED:-1}

# An input that ends a target is printed: it belongs into the corpus.
stands()
{
    timeout -k 5 "${FUZZ_SECONDS:-60}" "$1" "-runs=$runs" "-seed=$seed" \
        "$top_srcdir/tests/fuzz/corpus/${1##*/fuzz_}" && return
    echo "exit code $?, seed $seed"
    test ! -e crash-input || od -An -c crash-input
    rm -f crash-input
    return 1
}

for target in "$top_builddir"/tests/fuzz/fuzz_*; do
    case ${target##*/} in
    *.*) ;;
    *) t "${target##*/}: $runs mutations" stands "$target" ;;
    esac
done
test "$t_count" -gt 0 || exit 99
finish
