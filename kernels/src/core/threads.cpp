#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

namespace tensorlogic {
namespace {

// The processors that the process may use; none where the kernel does not tell.
std::vector<int> allowed_processors() {
  std::vector<int> found;
  // The kernel refuses a set that is smaller than its own.
  for (int n = 1024; n <= 1 << 20; n *= 2) {
    cpu_set_t* set = CPU_ALLOC(n);
    const size_t bytes = CPU_ALLOC_SIZE(n);
    const bool told = set && sched_getaffinity(0, bytes, set) == 0;
    for (int i = 0; told && i < n; ++i) {
      if (CPU_ISSET_S(i, bytes, set)) found.push_back(i);
    }
    CPU_FREE(set);
    if (told) break;
  }
  return found;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int cores_of(const std::vector<int>& processors, const std::string& root) {
  std::set<std::string> cores;
  for (int i : processors) {
    const std::string topology = root + "/sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/";
    std::string siblings = first_line(topology + "thread_siblings_list");
    cores.insert(siblings.empty() ? "processor " + std::to_string(i) : siblings);
  }
  return static_cast<int>(cores.size());
}

// `quota / period`, where both are numbers above 0; 0 otherwise, as for the quotas "max" and -1.
double ratio(const std::string& quota, const std::string& period) {
  double q = std::atof(quota.c_str()), p = std::atof(period.c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

// The limit that one cgroup sets itself: version 2 of the interface where `controllers` is empty, else version 1.
double limit_of(const std::string& root, const std::string& controllers, const std::string& path) {
  if (controllers.empty()) {
    std::ifstream file(root + "/sys/fs/cgroup" + path + "/cpu.max");
    std::string quota, period;
    file >> quota >> period;
    return ratio(quota, period);
  }
  for (const std::string& mounted : {controllers, std::string("cpu")}) {
    const std::string folder = root + "/sys/fs/cgroup/" + mounted + path;
    double limit = ratio(first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us"));
    if (limit > 0) return limit;
  }
  return 0;
}

double cgroup_limit(const std::string& root) {
  double least = 0;
  std::ifstream membership(root + "/proc/self/cgroup");
  // number:controllers:path, such as "0::/user.slice" and "4:cpu,cpuacct:/docker/1f"
  for (std::string line; std::getline(membership, line);) {
    auto first = line.find(':'), second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    // A limit holds for everything below it. In a container the path may be the host's, and the root is its own.
    for (;;) {
      double limit = limit_of(root, controllers, path);
      if (limit > 0) least = least > 0 ? std::min(least, limit) : limit;
      auto slash = path.rfind('/');
      if (slash == path.npos) break;
      path.resize(slash);
    }
  }
  return least;
}

int number_of_threads(const char* text) {
  char* end = nullptr;
  long n = std::strtol(text, &end, 10);
  return end != text && *end == 0 && n >= 1 && n <= kMostThreads ? static_cast<int>(n) : 0;
}

}  // namespace

int ThreadLimits::threads() const {
  if (asked > 0) return asked;
  // Rounded up: a thread more than is granted wastes less than one too few.
  double most = granted > 0 ? std::min<double>(cores, std::ceil(granted)) : cores;
  return std::clamp(static_cast<int>(most), 1, kMostThreads);
}

ThreadLimits thread_limits(const std::string& root) {
  ThreadLimits limits;
  const std::vector<int> allowed = allowed_processors();
  if (allowed.empty()) {
    limits.processors = limits.cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  } else {
    limits.processors = static_cast<int>(allowed.size());
    limits.cores = cores_of(allowed, root);
  }
  limits.granted = cgroup_limit(root);
  if (const char* text = std::getenv("TENSORLOGIC_THREADS")) limits.asked = number_of_threads(text);
  return limits;
}

const char* refused_threads() {
  const char* text = std::getenv("TENSORLOGIC_THREADS");
  return text && *text && number_of_threads(text) == 0 ? text : nullptr;
}

}  // namespace tensorlogic
