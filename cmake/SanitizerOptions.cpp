// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Defaults of the sanitizers, part of every sanitised program, so that each runs right however it is started; variables
// like ASAN_OPTIONS still overrule them.

extern "C" const char *__asan_default_options() {
  // LLVM's bump allocators poison what they have not handed out yet only in files that are compiled with the sanitizer.
  // The distribution's libraries are not, so memory that they hand out would stay poisoned.
  //
  // A request for more memory than there is has to get null, as from any other allocator: it is answered by an error.
  //
  // LLVM gives the thread that first registers a file to be removed on a signal a stack for signals, in the place of
  // the sanitizer's, which would unmap LLVM's at the end of that thread.
  //
  // libFuzzer's programs load the C++ library before the sanitizer, which is what it otherwise refuses.
  return "allow_user_poisoning=0:allocator_may_return_null=1:verify_asan_link_order=0:use_sigaltstack=0";
}

extern "C" const char *__ubsan_default_options() { return "print_stacktrace=1"; }
