// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens NAME.lariat. Refused: another format version, a file that is missing, too long or short, changed, or that lies
// outside the artefact. Checksums find damage, not malice.

#include "lariat/Artefact/Version.h"
#include "lariat/Compiler/Compile.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Files.h"
#include "lariat/Support/Json.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace lariat;
namespace json = llvm::json;
namespace fs = llvm::sys::fs;

static std::string joinPath(StringRef directory, StringRef name) {
  SmallString<256> path(directory);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

/// Whether a manifest path names a file below the artefact.
static bool isInside(StringRef name) {
  if (name.empty() || name.starts_with("/") || name.contains('\\') || name.contains('\0'))
    return false;
  SmallVector<StringRef> parts;
  name.split(parts, '/');
  return llvm::none_of(parts, [](StringRef part) { return part.empty() || part == "." || part == ".."; });
}

static llvm::Error verifyFile(StringRef artefact, StringRef name, const json::Object &entry) {
  std::optional<int64_t> size = entry.getInteger("bytes");
  std::optional<StringRef> checksum = entry.getString("sha256");
  if (!isInside(name) || !size || !checksum)
    return makeError("the manifest of " + artefact + " has a damaged entry for file '" + name + "'");
  std::string path = joinPath(artefact, name);
  fs::file_status status;
  if (fs::status(path, status, /*follow=*/false) || status.type() == fs::file_type::file_not_found)
    return makeError("file " + name + " of " + artefact + " is missing");
  if (status.type() != fs::file_type::regular_file)
    return makeError("file " + name + " of " + artefact + " is not a regular file");
  if (static_cast<int64_t>(status.getSize()) != *size)
    return makeError("file " + name + " of " + artefact + " has " + Twine(status.getSize()) + " bytes, expected " +
                     Twine(*size));
  llvm::Expected<FileSum> found = hashFile(path);
  if (!found)
    return found.takeError();
  if (found->sha256 != *checksum)
    return makeError("file " + name + " of " + artefact + " is damaged: its sha256 is " + found->sha256 +
                     ", expected " + *checksum);
  return llvm::Error::success();
}

static llvm::Expected<json::Object> readManifest(StringRef artefact) {
  std::string path = joinPath(artefact, "manifest.json");
  if (!fs::exists(path))
    return makeError(artefact + " is not an artefact: it has no manifest.json");
  llvm::Expected<json::Value> value = parseJsonFile(path);
  if (!value)
    return value.takeError();
  const json::Object *manifest = value->getAsObject();
  std::optional<int64_t> version = manifest ? manifest->getInteger("format_version") : std::nullopt;
  if (!version)
    return makeError("the manifest of " + artefact + " has no format_version");
  if (*version != kArtefactFormatVersion)
    return makeError(artefact + " has format version " + Twine(*version) + ", but this build of Lariat reads version " +
                     Twine(kArtefactFormatVersion));
  const json::Object *files = manifest->getObject("files");
  if (!files || !manifest->getString("lariat_version") || !manifest->getString("dtype") ||
      !manifest->getString("kv_dtype") || !manifest->getString("pipeline"))
    return makeError("the manifest of " + artefact + " lacks files, lariat_version, dtype, kv_dtype or pipeline");
  if (!files->get("model.mlir"))
    return makeError("the manifest of " + artefact + " does not list model.mlir");
  for (const auto &[name, entry] : *files) {
    const json::Object *object = entry.getAsObject();
    if (llvm::Error error = verifyFile(artefact, StringRef(name), object ? *object : json::Object()))
      return std::move(error);
  }
  return *manifest;
}

llvm::Expected<Model> lariat::readArtefact(StringRef path, MLIRContext *context) {
  StringRef artefact = path.size() > 1 ? path.rtrim('/') : path;
  llvm::Expected<json::Object> manifest = readManifest(artefact);
  if (!manifest)
    return manifest.takeError();
  if (manifest->getString("pipeline") == StringRef("fast"))
    return makeError(artefact +
                     " was compiled by the fast pipeline, and the reference path reads artefacts of its own");
  CompileOptions options;
  options.input = joinPath(artefact, "model.mlir");
  options.dtype = manifest->getString("dtype")->str();
  options.kvDtype = manifest->getString("kv_dtype")->str();
  options.pipeline = manifest->getString("pipeline")->str();
  if (llvm::Error error = verifyOptions(options))
    return makeError("the manifest of " + artefact + " is damaged: " + toString(std::move(error)));
  llvm::Expected<Model> model = readModel(options, context);
  if (!model)
    return model.takeError();
  model->manifest = std::move(*manifest);
  return model;
}
