// How many threads compute, and why that number.
#pragma once

#include <string>

namespace tensorlogic {

inline constexpr int kMostThreads = 1024;

// What the machine and its user allow this process.
struct ThreadLimits {
  int processors = 1;  // in the process's affinity
  int cores = 1;       // that these processors are on: two may be one core's, which computes no faster for it
  double granted = 0;  // the CPU time that cgroups grant, in processors; 0 where they set no limit
  int asked = 0;       // TENSORLOGIC_THREADS; 0 where it is unset, or no number from 1 to kMostThreads

  // `asked`; else the cores, fewer where less is granted.
  int threads() const;
};

// Reads the environment, the affinity, and below `root` what Linux tells in /proc and /sys. Throws nothing of its own.
ThreadLimits thread_limits(const std::string& root = "");

// The text of TENSORLOGIC_THREADS where it is set and is no number from 1 to kMostThreads, else null.
const char* refused_threads();

}  // namespace tensorlogic
