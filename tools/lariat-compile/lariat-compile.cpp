// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a model to an artefact.

#include "lariat/Artefact/Version.h"
#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Support/CommandLine.h"
#include "lariat/Support/Guard.h"
#include "lariat/Support/Interruption.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstdlib>

namespace cl = llvm::cl;

static cl::OptionCategory category("lariat-compile options");
static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("M.mlir, or - for standard input"),
                                  cl::cat(category));
static cl::opt<std::string> output("o", cl::value_desc("NAME.lariat"),
                                   cl::desc("the artefact to write; of --emit a file (default: standard output)"),
                                   cl::cat(category));
static cl::opt<std::string>
    emitForm("emit", cl::init(lariat::CompileOptions().emit), cl::value_desc("FORM"),
             cl::desc("artefact; or kernel: all variants with planned kernels; or of one target "
                      "llvm: LLVM's dialect, llvm-ir: what is handed to code generation, asm, obj"),
             cl::cat(category));
static cl::opt<std::string> weights("weights", cl::value_desc("DIR"),
                                    cl::desc("checkpoint (default: what the module names)"), cl::cat(category));
static const std::string dtypeText =
    lariat::listDtypes() + " weights, or rules such as 'ffn=bf16,head=f32' (default: what the module declares)";
static cl::opt<std::string> dtype("dtype", cl::value_desc("RULES"), cl::desc(dtypeText), cl::cat(category));
static cl::opt<std::string> kvDtype("kv-dtype", cl::value_desc("f32|bf16"),
                                    cl::desc("type of caches (default: what the module declares)"), cl::cat(category));
static cl::opt<std::string>
    overrideKVPolicy("override-kv-policy", cl::value_desc("TEXT"),
                     cl::desc("policy of the caches of loops, such as 'ring<2, order = sequential>', in place of the "
                              "declared one: changes what the model computes"),
                     cl::cat(category));
static cl::opt<std::string> pipeline("pipeline", cl::init(lariat::CompileOptions().pipeline), cl::value_desc("NAME"),
                                     cl::desc("reference or fast"), cl::cat(category));
static cl::opt<std::string> target("target", cl::value_desc("LIST"),
                                   cl::desc("ISAs of the fast pipeline, separated by commas; native; all (default)"),
                                   cl::cat(category));
/// Ends the tool, as --version does: nothing else is needed for it.
static void printTarget(const std::string &name) {
  llvm::Error error = lariat::printTargets(name, llvm::outs());
  bool failed = static_cast<bool>(error);
  if (failed)
    llvm::errs() << "error: " << toString(std::move(error)) << '\n';
  std::exit(failed);
}
static cl::opt<std::string> printedTarget("print-target", cl::ValueOptional, cl::value_desc("NAME"), cl::cat(category),
                                          cl::desc("print features and tuning of a target (native: the best this "
                                                   "machine runs; default: all) and end"),
                                          cl::callback([](const std::string &name) { printTarget(name); }));
static cl::opt<std::string> reportFile("report", cl::value_desc("FILE"),
                                       cl::desc("write seconds per stage and bytes of code, as JSON"),
                                       cl::cat(category));
enum class MemoryTable { None, Short, All };
static cl::opt<MemoryTable>
    printMemory("print-memory", cl::ValueOptional, cl::init(MemoryTable::None), cl::cat(category),
                cl::desc("print the memory of caches, weights and calls"),
                cl::values(clEnumValN(MemoryTable::Short, "", "the largest call of each entry function"),
                           clEnumValN(MemoryTable::All, "all", "also a line for each of its variants")));
static cl::opt<int> progressFd("progress-fd", cl::init(-1), cl::value_desc("N"),
                               cl::desc("write progress to this file descriptor, as lines of JSON"), cl::cat(category));
static cl::opt<std::string> remarksFilter("remarks-filter", cl::value_desc("REGEX"),
                                          cl::desc("print what passes with a name that matches did, and did not do"),
                                          cl::cat(category));
static cl::opt<bool> force("force", cl::desc("replace an artefact that is already there"), cl::cat(category));

/// Writes {"stage": ..., "done": ..., "total": ...} for each report. A reader that is gone is none of ours.
static lariat::Progress listenTo(int descriptor) {
  if (descriptor < 0)
    return lariat::Progress();
  auto stream = std::make_shared<llvm::raw_fd_ostream>(descriptor, /*shouldClose=*/false, /*unbuffered=*/true);
  return lariat::Progress([stream](const lariat::Progress::Report &report) {
    llvm::json::Object line{{"stage", report.stage}, {"done", report.done}, {"total", report.total}};
    std::string text;
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(line)) << '\n';
    *stream << text;
    stream->clear_error();
  });
}

/// Makes passes say what they do where it is asked for; their remarks are diagnostics.
static llvm::Error enableRemarks(mlir::MLIRContext &context) {
  std::string reason;
  if (remarksFilter.empty())
    return llvm::Error::success();
  if (!llvm::Regex(remarksFilter).isValid(reason))
    return llvm::createStringError("option --remarks-filter is '" + remarksFilter + "': " + reason);
  mlir::remark::RemarkCategories categories{remarksFilter, "", "", "", ""}; // empty: no further filter
  if (failed(mlir::remark::enableOptimizationRemarks(context, /*streamer=*/nullptr,
                                                     std::make_unique<mlir::remark::RemarkEmittingPolicyAll>(),
                                                     categories, /*printAsEmitRemarks=*/true)))
    return llvm::createStringError("remarks cannot be enabled");
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Remark)
      return mlir::failure();
    llvm::errs() << lariat::formatPlace(diagnostic.getLocation()) << "remark: " << diagnostic << '\n';
    return mlir::success();
  });
  return llvm::Error::success();
}

static int compile() {
  std::optional<std::string> policy;
  if (overrideKVPolicy.getNumOccurrences())
    policy = overrideKVPolicy;
  lariat::CompileOptions options{.input = input,
                                 .output = output,
                                 .emit = emitForm,
                                 .weights = weights,
                                 .dtype = dtype,
                                 .kvDtype = kvDtype,
                                 .overrideKVPolicy = policy,
                                 .pipeline = pipeline,
                                 .targets = target,
                                 .force = force};
  // The linker, which compiles run in process, resets the command line.
  MemoryTable table = printMemory;
  std::string statsPath = reportFile;
  lariat::Progress progress = listenTo(progressFd);
  mlir::DialectRegistry registry;
  lariat::registerDialects(registry);
  mlir::MLIRContext context(registry);
  mlir::DefaultTimingManager timing;
  applyDefaultTimingManagerCLOptions(timing);
  mlir::TimingScope scope = timing.getRootScope();
  lariat::showPipelines(&scope);
  lariat::CompileReport report;
  llvm::Error error = enableRemarks(context);
  if (!error)
    error = lariat::compile(options, &context, report, std::move(progress));
  lariat::showPipelines(nullptr);
  for (const std::string &warning : report.warnings)
    llvm::errs() << "warning: " << warning << '\n';
  if (!error && !statsPath.empty())
    error = lariat::writeStats(report.stats, statsPath);
  if (error) {
    llvm::errs() << "error: " << toString(std::move(error)) << '\n';
    return 1;
  }
  if (table != MemoryTable::None)
    llvm::outs() << report.memory;
  if (table == MemoryTable::All)
    llvm::outs() << report.calls;
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  lariat::endWhenAsked();
  std::signal(SIGXFSZ, SIG_IGN); // a limit of file sizes is an error of the write that meets it
  lariat::hideLibraryOptions(&category);
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  cl::SetVersionPrinter([](llvm::raw_ostream &os) { os << "lariat-compile " << lariat::kLariatVersion << '\n'; });
  cl::ParseCommandLineOptions(argc, argv, "Lariat compiler\n");
  return lariat::runGuarded("lariat-compile", compile);
}
