// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bytes go to a sealed file in memory, which dlopen opens by its number. The loader takes two objects of one name
// for the same, so a number whose name is in use (by code that was not unloaded) is passed over.

#include "MappedCode.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace lariat::runtime;

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/// An empty file in memory that may be executed.
static FileDescriptor createMemoryFile() {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  FileDescriptor file(memfd_create("lariat-code", flags | MFD_EXEC));
  if (file.get() < 0 && errno == EINVAL) // a kernel before 6.3: executable anyway
    file = FileDescriptor(memfd_create("lariat-code", flags));
  return file;
}

static bool writeAll(const FileDescriptor &file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR)
      return false;
    if (count > 0)
      bytes = bytes.subspan(count);
  }
  return true;
}

static std::string getName(const FileDescriptor &file) { return "/proc/self/fd/" + std::to_string(file.get()); }

static bool isNameTaken(const std::string &name) {
  void *handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (handle)
    dlclose(handle);
  return handle != nullptr;
}

/// What the loader says, without the name of the file in memory.
static std::string getLoaderMessage(const std::string &name) {
  const char *message = dlerror();
  std::string text = message ? message : "unknown reason";
  if (text.starts_with(name + ": "))
    text.erase(0, name.size() + 2);
  return text;
}

Expected<MappedCode> MappedCode::load(std::span<const std::byte> bytes, const std::string &place) {
  FileDescriptor file = createMemoryFile();
  if (file.get() < 0 || !writeAll(file, bytes))
    return makeSystemError("map", place, errno);
  fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL); // or not: it is ours alone
  std::vector<FileDescriptor> passedOver;
  while (isNameTaken(getName(file))) {
    FileDescriptor next(fcntl(file.get(), F_DUPFD_CLOEXEC, file.get() + 1));
    if (next.get() < 0)
      return makeSystemError("map", place, errno);
    passedOver.push_back(std::exchange(file, std::move(next)));
  }
  std::string name = getName(file);
  void *handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return makeError("cannot load ", place, ": ", getLoaderMessage(name));
  return MappedCode(std::move(file), handle);
}

MappedCode::~MappedCode() {
  if (handle)
    dlclose(handle);
}

void *MappedCode::find(const std::string &symbol) const { return dlsym(handle, symbol.c_str()); }
