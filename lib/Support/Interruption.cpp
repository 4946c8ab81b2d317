// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Signals are blocked in all threads and taken by one that waits for them, so removing files is ordinary code. That
// thread also looks, a few times a second, whether the process still has the parent that started it.

#include "lariat/Support/Interruption.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace lariat;

/// Held while files get their names, and from the end on.
static std::mutex &getMutex() {
  static auto *mutex = new std::mutex; // outlives all threads
  return *mutex;
}

static std::vector<std::string> &getPaths() {
  static auto *paths = new std::vector<std::string>;
  return *paths;
}

/// Another thread may still write to a folder that is removed, until the process ends.
static void removeAll() {
  for (const std::string &path : getPaths())
    for (int attempt = 0; attempt < 100 && llvm::sys::fs::exists(path); ++attempt)
      if (llvm::sys::fs::is_directory(path))
        (void)llvm::sys::fs::remove_directories(path);
      else
        (void)llvm::sys::fs::remove(path);
}

[[noreturn]] static void endBy(int signal, const sigset_t &set) {
  getMutex().lock();
  removeAll();
  // The process ends by the signal itself, so that its status says so.
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  kill(getpid(), signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  _exit(128 + signal);
}

[[noreturn]] static void waitForEnd(sigset_t set, pid_t parent) {
  for (;;) {
    timespec time = {.tv_sec = 0, .tv_nsec = 100'000'000};
    int signal = sigtimedwait(&set, nullptr, &time);
    if (signal > 0)
      endBy(signal, set);
    if (parent != 0 && getppid() != parent)
      endBy(SIGTERM, set);
  }
}

void lariat::endWhenAsked() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) // as under nohup
      sigaddset(&set, signal);
  }
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const char *given = std::getenv(kParentVariable);
  pid_t parent = given ? std::atoi(given) : 0;
  std::thread(waitForEnd, set, parent).detach();
}

Unfinished::Unfinished(llvm::StringRef path) : path(path) {
  std::lock_guard lock(getMutex());
  getPaths().push_back(this->path);
}

Unfinished::~Unfinished() {
  std::lock_guard lock(getMutex());
  llvm::erase(getPaths(), path);
  if (llvm::sys::fs::exists(path))
    (void)llvm::sys::fs::remove_directories(path);
}

llvm::Error Unfinished::finish(llvm::function_ref<llvm::Error()> publish) {
  std::lock_guard lock(getMutex());
  return publish();
}
