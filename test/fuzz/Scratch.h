// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder of this process for what a target must have as a file.

#ifndef LARIAT_TEST_FUZZ_SCRATCH_H
#define LARIAT_TEST_FUZZ_SCRATCH_H

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace lariat::fuzz {

class Scratch {
public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "lariat-fuzz-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  const std::string &getPath() const { return path; }

  std::string write(const std::string &name, const uint8_t *data, size_t size) const {
    std::string file = path + "/" + name;
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char *>(data), static_cast<std::streamsize>(size));
    return file;
  }

private:
  std::string path;
};

} // namespace lariat::fuzz

#endif // LARIAT_TEST_FUZZ_SCRATCH_H
