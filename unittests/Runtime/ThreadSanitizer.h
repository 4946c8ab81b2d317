// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_UNITTESTS_RUNTIME_THREADSANITIZER_H
#define LARIAT_UNITTESTS_RUNTIME_THREADSANITIZER_H

/// Whether the thread sanitizer is built in, which does not follow a process with threads into a child that starts
/// some.
#if defined(__SANITIZE_THREAD__)
#define LARIAT_HAS_TSAN 1
#elif defined(__has_feature)
#define LARIAT_HAS_TSAN __has_feature(thread_sanitizer)
#else
#define LARIAT_HAS_TSAN 0
#endif

#endif // LARIAT_UNITTESTS_RUNTIME_THREADSANITIZER_H
