// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `--help` of a tool lists.

#ifndef LARIAT_SUPPORT_COMMANDLINE_H
#define LARIAT_SUPPORT_COMMANDLINE_H

namespace llvm::cl {
class OptionCategory;
} // namespace llvm::cl

namespace lariat {

/// Hides the options that libraries registered when they were loaded, those of LLVM's code generators among them: some
/// hundred of which a tool serves none. They still work, and `--help-hidden` lists them. To be called before a tool
/// registers options that serve; those of `own`, which may be null, and of help itself stay.
void hideLibraryOptions(const llvm::cl::OptionCategory *own);

} // namespace lariat

#endif // LARIAT_SUPPORT_COMMANDLINE_H
