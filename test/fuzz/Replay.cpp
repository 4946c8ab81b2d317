// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a fuzz target on files, and on mutations of them, where libFuzzer is not linked:
// `TARGET [-mutations=N] [-save=FILE] PATH...`. A folder stands for its files. Mutations depend on nothing but the
// input and their number; FILE has each input before it is run, so that it holds the one that crashed.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

using Bytes = std::vector<uint8_t>;

static Bytes readFile(const std::filesystem::path &path) {
  std::ifstream stream(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(stream), {});
}

/// Changes, drops, repeats or swaps a few pieces.
static Bytes mutate(Bytes bytes, std::mt19937 &random) {
  static const char *const kWords[] = {"{",    "}",  "[",  "]",    "-1",   "9223372036854775807",
                                       "null", "\"", "\\", "\xff", "1e999"};
  auto below = [&](size_t bound) { return bound ? random() % bound : 0; };
  for (size_t changes = 1 + below(4); changes; --changes) {
    size_t at = below(bytes.size() + 1), length = std::min(below(16), bytes.size() - at);
    auto place = bytes.begin() + static_cast<ptrdiff_t>(at);
    switch (below(5)) {
    case 0:
      if (at < bytes.size())
        bytes[at] = static_cast<uint8_t>(random());
      break;
    case 1:
      bytes.erase(place, place + static_cast<ptrdiff_t>(length));
      break;
    case 2: {
      Bytes piece(place, place + static_cast<ptrdiff_t>(length));
      bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(below(bytes.size() + 1)), piece.begin(), piece.end());
      break;
    }
    case 3: {
      std::string word = kWords[below(std::size(kWords))];
      bytes.insert(place, word.begin(), word.end());
      break;
    }
    case 4:
      bytes.resize(at);
      break;
    }
  }
  return bytes;
}

/// Runs the target on bytes of their own size, so that a sanitizer sees what is read behind them.
static void run(const Bytes &input, const std::string &copy) {
  if (!copy.empty())
    std::ofstream(copy, std::ios::binary)
        .write(reinterpret_cast<const char *>(input.data()), static_cast<std::streamsize>(input.size()));
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

int main(int argc, char **argv) {
  unsigned long numMutations = 0;
  std::string copy;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.rfind("-mutations=", 0) == 0) {
      numMutations = std::stoul(argument.substr(11));
    } else if (argument.rfind("-save=", 0) == 0) {
      copy = argument.substr(6);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto &entry : std::filesystem::directory_iterator(argument))
        files.push_back(entry.path());
    } else {
      files.emplace_back(argument);
    }
  }
  std::sort(files.begin(), files.end());
  unsigned long numRun = 0;
  for (const std::filesystem::path &file : files) {
    Bytes input = readFile(file);
    std::mt19937 random(static_cast<uint32_t>(input.size()));
    run(input, copy);
    ++numRun;
    for (unsigned long number = 0; number < numMutations; ++number, ++numRun)
      run(mutate(input, random), copy);
  }
  std::printf("%zu files, %lu inputs\n", files.size(), numRun);
  return files.empty();
}
