// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stack of a tool, and handlers for its faults.

#include "lariat/Support/Guard.h"

#include "llvm/Support/Compiler.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/thread.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <unistd.h>

using namespace lariat;

// Enough for chains that are no nesting, such as sums of a million terms; pages count when they are touched.
static constexpr unsigned kStackBytes = 512u << 20;
static constexpr int kFaultStatus = 70; // EX_SOFTWARE

#if LLVM_ADDRESS_SANITIZER_BUILD || LLVM_THREAD_SANITIZER_BUILD
/// Sanitizers report faults better.
static void installHandlers(llvm::StringRef) {}
#else
static constexpr size_t kHandlerStackBytes = 64 << 10;

static std::array<char, 160> sentence;
static std::array<char, kHandlerStackBytes> handlerStack;

static void reportFault(int) {
  // Only what a handler may call. The result does not matter any more.
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, sentence.data(), std::strlen(sentence.data()));
  llvm::sys::RunInterruptHandlers(); // removes files that are half written
  _exit(kFaultStatus);
}

/// Handlers run on a stack of their own, for the fault may be the end of the other one.
static void installHandlers(llvm::StringRef tool) {
  std::snprintf(sentence.data(), sentence.size(),
                "error: %.*s failed by a fault of its own, not of what it was given: please report the input\n",
                static_cast<int>(std::min<size_t>(tool.size(), 40)), tool.data());
  stack_t stack{};
  stack.ss_sp = handlerStack.data();
  stack.ss_size = handlerStack.size();
  sigaltstack(&stack, nullptr);
  struct sigaction action{};
  action.sa_handler = reportFault;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    sigaction(signal, &action, nullptr);
}
#endif

int lariat::runGuarded(llvm::StringRef tool, llvm::function_ref<int()> body) {
  int status = kFaultStatus;
  llvm::thread thread(std::optional<unsigned>(kStackBytes), [&] {
    installHandlers(tool);
    status = body();
  });
  thread.join();
  return status;
}
