// What the machine can do at most: how fast its memory is read, and how fast it multiplies. Kernels are measured
// against these two. Each is the median of several tries with the pool's threads, and takes the pool for a while.
#pragma once

#include <cstdint>

namespace tensorlogic {

// Bytes read a second from a buffer of `megabytes` (of 10^6 bytes), by `threads` threads at most, all of them for 0.
// The buffer must be several times larger than the last cache. Throws std::bad_alloc.
double read_bandwidth(int64_t megabytes, int threads);

// Floating-point operations a second in products of float32 matrices of 768 rows and columns, one for each of `threads`
// threads, all of them for 0. Throws std::bad_alloc.
double peak_flops(int threads);

}  // namespace tensorlogic
