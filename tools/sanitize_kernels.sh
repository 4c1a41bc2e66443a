#!/usr/bin/env bash
# Builds the CPU kernels with AddressSanitizer and UndefinedBehaviorSanitizer, and runs their tests with them; their pool
# of threads with ThreadSanitizer before that.
#
# Usage: tools/sanitize_kernels.sh FOLDER [ARGUMENTS]
# Takes: FOLDER, a virtual environment after `make kernels`; ARGUMENTS, for pytest, in place of all tests of the kernels;
#     CXX (optional), the GCC to use instead of g++.
# Promises: a wrong access to memory and undefined arithmetic in the kernels, their extension module and their nodes of
#     MLX graphs end the tests with a report. MLX and Python themselves are as always, but the memory that they take is
#     guarded, too. Leaks are not looked for: Python leaves much to the end of the process.
# Refuses: a machine without GCC and its libasan, libubsan and libtsan.
set -euo pipefail

readonly folder="$(realpath "${1:?usage: tools/sanitize_kernels.sh FOLDER [ARGUMENTS]}")"
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly compiler="${CXX:-g++}" build="$folder/kernels-sanitized"
readonly package="$build/package/tensorlogic_cpu"
# Of the environment, where the machine has none that will do.
export PATH="$folder/bin:$PATH"

# The runtime libraries, which Python was not linked with; that of C++ so that exceptions are found by them.
preloaded=()
for name in libasan.so libubsan.so libstdc++.so; do
    path="$("$compiler" -print-file-name="$name" 2>/dev/null || true)"
    if [[ "$path" != /* ]]; then
        echo "error: found no $name of $compiler; the sanitizers are those of GCC." >&2
        exit 1
    fi
    preloaded+=("$path")
done

mkdir -p "$build"
"$compiler" -std=c++20 -O1 -g -fsanitize=thread -Ikernels/src tests/kernels/pool_races.cpp \
    kernels/src/core/{pool,threads}.cpp -o "$build/pool_races"
# Where the system places memory at random, ThreadSanitizer may find its own places taken.
setarch --addr-no-randomize "$build/pool_races"

cmake -S kernels -B "$build" -DCMAKE_CXX_COMPILER="$compiler" -DPython_EXECUTABLE="$folder/bin/python" \
    -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$package" -DTENSORLOGIC_SANITIZE=ON >"$folder/kernels-sanitized.log"
cmake --build "$build" --parallel "$(nproc)"
cp kernels/tensorlogic_cpu/*.py "$package"

# AddressSanitizer needs the addresses that one test takes away, and holds for a while what another one gives back.
(($#)) || set -- tests/kernels --deselect tests/kernels/test_pool.py::test_a_machine_that_grants_no_more_threads_gets_fewer \
    --deselect tests/kernels/test_chain.py::test_memory_for_a_large_call_is_given_back
# What a sanitizer says goes past Python: pytest must leave the descriptors alone.
LD_PRELOAD="${preloaded[*]}" PYTHONPATH="$build/package" PYTHONMALLOC=malloc \
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1 \
    "$folder/bin/python" -m pytest --capture=sys "$@"
