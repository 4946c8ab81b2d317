// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "lariat/Runtime/Base/ControlGroups.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <optional>

using namespace lariat::runtime;

/// Whether a list as "cpu,cpuacct" names the controller; version 2 has one empty list for all.
static bool hasController(const std::string &list, std::string_view controller) {
  return list.empty() || ("," + list + ",").find("," + std::string(controller) + ",") != std::string::npos;
}

std::vector<std::string> lariat::runtime::listGroupFolders(std::string_view controller,
                                                           const ControlGroupFiles &files) {
  std::vector<std::string> folders;
  std::ifstream file(files.groups); // lines as "0::/user.slice/a" and "4:cpu,cpuacct:/a"
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    if (!hasController(controllers, controller))
      continue;
    std::string root = files.mounts + (controllers.empty() ? "" : "/" + controllers);
    for (std::string path = line.substr(second + 1); !path.empty(); path.resize(path.rfind('/')))
      if (path != "/")
        folders.push_back(root + path);
    folders.push_back(root);
  }
  return folders;
}

/// The number in a file; nothing where it has none, as "max".
static std::optional<int64_t> readNumber(const std::string &path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number)
    return number;
  return std::nullopt;
}

/// What a group's pages of files come to, which the system takes away when it needs memory: weights that are mapped,
/// too.
static int64_t readReclaimable(const std::string &stat) {
  std::ifstream file(stat); // lines as "file 4096"; of version 1 those that count groups inside
  std::map<std::string, int64_t> values;
  int64_t value = 0;
  for (std::string key; file >> key >> value;)
    values[key] = value;
  bool isVersion1 = values.contains("total_cache");
  int64_t files = isVersion1 ? values["total_cache"] : values["file"];
  return std::max<int64_t>(files - (isVersion1 ? values["total_shmem"] : values["shmem"]), 0);
}

static std::optional<int64_t> readAvailable(const std::string &meminfo) {
  std::ifstream file(meminfo);
  for (std::string key; file >> key; file.ignore(std::numeric_limits<std::streamsize>::max(), '\n'))
    if (int64_t kibibytes = 0; key == "MemAvailable:" && file >> kibibytes)
      return kibibytes * 1024;
  return std::nullopt;
}

int64_t lariat::runtime::readAvailableMemory(const ControlGroupFiles &files, const std::string &meminfo) {
  int64_t least = readAvailable(meminfo).value_or(std::numeric_limits<int64_t>::max());
  auto limit = [&](const std::string &folder, const char *most, const char *now) {
    std::optional<int64_t> bytes = readNumber(folder + most), used = readNumber(folder + now);
    if (bytes && used)
      least = std::min(least, std::max<int64_t>(*bytes - *used + readReclaimable(folder + "/memory.stat"), 0));
  };
  for (const std::string &folder : listGroupFolders("memory", files)) {
    limit(folder, "/memory.max", "/memory.current");
    limit(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes");
  }
  return least;
}
