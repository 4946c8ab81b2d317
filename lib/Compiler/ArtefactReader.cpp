// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens NAME.lariat. Refused: another format version, a file that is missing, too long or short, changed, or that lies
// outside the artefact. Checksums find damage, not malice.

#include "lariat/Compiler/Compile.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Files.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace lariat;
namespace fs = llvm::sys::fs;

static constexpr const char *kModelFile = "model.mlir";

static std::string joinPath(StringRef directory, StringRef name) {
  SmallString<256> path(directory);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

static llvm::Error verifyFile(StringRef artefact, StringRef name, const manifest::FileFacts &facts) {
  std::string path = joinPath(artefact, name);
  fs::file_status status;
  if (fs::status(path, status, /*follow=*/false) || status.type() == fs::file_type::file_not_found)
    return makeError("file " + name + " of " + artefact + " is missing");
  if (status.type() != fs::file_type::regular_file)
    return makeError("file " + name + " of " + artefact + " is not a regular file");
  if (static_cast<int64_t>(status.getSize()) != facts.bytes)
    return makeError("file " + name + " of " + artefact + " has " + Twine(status.getSize()) + " bytes, expected " +
                     Twine(facts.bytes));
  llvm::Expected<FileSum> found = hashFile(path);
  if (!found)
    return found.takeError();
  if (found->sha256 != facts.sha256)
    return makeError("file " + name + " of " + artefact + " is damaged: its sha256 is " + found->sha256 +
                     ", expected " + facts.sha256);
  return llvm::Error::success();
}

static llvm::Expected<manifest::Manifest> readManifest(StringRef artefact) {
  std::string path = joinPath(artefact, manifest::kFile), problem;
  if (!fs::exists(path))
    return makeError(artefact + " is not an artefact: it has no " + manifest::kFile);
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return makeError("cannot read " + path + ": " + buffer.getError().message());
  std::optional<manifest::Manifest> manifest = manifest::parse((*buffer)->getBuffer(), path, problem);
  if (!manifest)
    return makeError(problem);
  if (manifest->pipeline == abi::Pipeline::Fast)
    return makeError(artefact +
                     " was compiled by the fast pipeline, and the reference path reads artefacts of its own");
  if (!manifest->files.count(kModelFile))
    return makeError("the manifest of " + artefact + " does not list " + kModelFile);
  for (const auto &[name, facts] : manifest->files)
    if (llvm::Error error = verifyFile(artefact, name, facts))
      return std::move(error);
  return std::move(*manifest);
}

llvm::Expected<Model> lariat::readArtefact(StringRef path, MLIRContext *context) {
  StringRef artefact = path.size() > 1 ? path.rtrim('/') : path;
  llvm::Expected<manifest::Manifest> manifest = readManifest(artefact);
  if (!manifest)
    return manifest.takeError();
  CompileOptions options;
  options.input = joinPath(artefact, kModelFile);
  options.kvDtype = manifest->kvDtype;
  options.pipeline = "reference";
  if (llvm::Error error = verifyOptions(options))
    return makeError("the manifest of " + artefact + " is damaged: " + toString(std::move(error)));
  llvm::Expected<Model> model = readModel(options, context);
  if (!model)
    return model.takeError();
  if (StringRef said = manifest->dtype, found = model->manifest.dtype; said != found)
    return makeError("the manifest of " + artefact + " is damaged: its dtype is '" + said +
                     "', but the weights of model.mlir are " + found);
  model->manifest = std::move(*manifest);
  return model;
}
