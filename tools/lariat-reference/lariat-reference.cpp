// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a model on the reference path: JSON requests on standard input, one a line, answers on standard output.

#include "lariat/Artefact/Version.h"
#include "lariat/Reference/Protocol.h"
#include "lariat/Support/Guard.h"
#include "lariat/Support/Interruption.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <iostream>
#include <string>

namespace cl = llvm::cl;

static cl::OptionCategory category("lariat-reference options");
static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("NAME.lariat|M.mlir"), cl::cat(category));
static cl::opt<std::string> weights("weights", cl::value_desc("DIR"), cl::desc("checkpoint of an .mlir file"),
                                    cl::cat(category));

static int serve() {
  auto session = lariat::reference::Session::open(input, weights);
  if (!session) {
    llvm::errs() << "error: " << toString(session.takeError()) << '\n';
    return 1;
  }
  auto write = [](const llvm::json::Value &line) {
    llvm::outs() << line << '\n';
    llvm::outs().flush();
  };
  for (std::string line; std::getline(std::cin, line);)
    if (!llvm::StringRef(line).trim().empty())
      lariat::reference::answerLine(**session, line, write);
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  lariat::endWhenAsked();
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](llvm::raw_ostream &os) { os << "lariat-reference " << lariat::kLariatVersion << '\n'; });
  cl::ParseCommandLineOptions(argc, argv, "Lariat reference path: one JSON request a line\n");
  return lariat::runGuarded("lariat-reference", serve);
}
