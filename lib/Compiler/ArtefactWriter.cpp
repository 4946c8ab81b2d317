// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes NAME.lariat: manifest.json, model.mlir, the weights and the checkpoint's text files as they are. Weights are
// weights/model.safetensors with the tensors that the model reads, in the format of those weights; or, from the fast
// pipeline, weights.bin as its code reads it, beside code/ISA.so. A reader sees the old artefact, or none, or the whole
// new one. Refused: to replace anything without being asked, and to replace what is no artefact at all.

#include "lariat/Compiler/Compile.h"
#include "lariat/Compiler/FastPath.h"
#include "lariat/Compiler/Packing.h"
#include "lariat/Compiler/Weights.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Files.h"
#include "lariat/Support/Interruption.h"
#include "lariat/Support/Json.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <map>

using namespace mlir;
using namespace lariat;
namespace fs = llvm::sys::fs;

/// Copied from the checkpoint where they are there, without a byte order mark.
static constexpr StringRef kVerbatimFiles[] = {"tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json",
                                               "added_tokens.json", "chat_template.jinja",   "generation_config.json"};

/// The same, for a folder: chat templates by name.
static constexpr StringRef kTemplateFolder = "additional_chat_templates";

static std::string joinPath(StringRef directory, StringRef name) {
  SmallString<256> path(directory);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

//===----------------------------------------------------------------------===//
// Content
//===----------------------------------------------------------------------===//

/// Sums of files by their paths in the artefact.
using FileSums = std::map<std::string, FileSum>;

/// The type of tensors of a format in a file.
static std::string getStoredType(StoredFormat format) { return stringifyStoredFormat(format).upper(); }

/// The values of a stored tensor in a format, piece by piece.
static llvm::Error convertTensor(const StoredTensor &tensor, StoredFormat format, llvm::raw_ostream &stream) {
  constexpr int64_t kPieceSize = int64_t(1) << 16, kPiecesMapped = 256;
  std::vector<float> values(kPieceSize);
  int64_t count = tensor.getNumElements(), piece = 0;
  for (int64_t first = 0; first < count; first += kPieceSize) {
    MutableArrayRef<float> part = MutableArrayRef(values).take_front(std::min(kPieceSize, count - first));
    readFloats(tensor, first, part);
    if (std::optional<float> size = roundTo(format, part))
      return makeRangeError("tensor '" + tensor.name + "'", *size, format);
    writeFloats(getStoredType(format), part, stream);
    if (++piece % kPiecesMapped == 0)
      tensor.release();
  }
  tensor.release();
  return llvm::Error::success();
}

/// The tensors that weights of a model name, in order.
static llvm::SetVector<StringRef> listKeys(const Model &model) {
  llvm::SetVector<StringRef> keys;
  for (auto weight : model.module.get().getOps<WeightOp>())
    if (auto source = weight.getSource())
      for (StringAttr key : source->getKeys())
        keys.insert(key.getValue());
  return keys;
}

/// The format in which all weights read a tensor, by its name; f32 where they differ.
static llvm::StringMap<StoredFormat> findFormats(const Model &model) {
  llvm::StringMap<StoredFormat> formats;
  for (auto weight : model.module.get().getOps<WeightOp>())
    if (auto source = weight.getSource())
      for (StringAttr key : source->getKeys()) {
        StoredFormat format = weight.getStored().getFormat();
        auto it = formats.try_emplace(key.getValue(), format).first;
        if (it->second != format)
          it->second = StoredFormat::F32;
      }
  return formats;
}

static llvm::Error writeWeights(const Model &model, StringRef directory, FileSums &sums, Progress &progress) {
  if (!model.checkpoint)
    return llvm::Error::success();
  llvm::StringMap<StoredFormat> formats = findFormats(model);
  SafetensorsWriter writer;
  HashedFile *stream = nullptr;
  for (StringRef key : listKeys(model)) {
    const StoredTensor *tensor = model.checkpoint->find(key);
    StoredFormat format = formats.lookup(key);
    writer.add(key, getStoredType(format), tensor->shape, [&, tensor, format](llvm::raw_ostream &) {
      progress.reach(stream->tell());
      return stream->hasFailed() ? llvm::Error::success() : convertTensor(*tensor, format, *stream);
    });
  }
  std::string weights = joinPath(directory, "weights"), path = joinPath(weights, "model.safetensors");
  if (std::error_code code = fs::create_directory(weights, /*IgnoreExisting=*/false, fs::all_all))
    return makeError("cannot write " + weights + ": " + code.message());
  llvm::Expected<std::unique_ptr<HashedFile>> file = HashedFile::create(path, writer.getNumBytes());
  if (!file)
    return file.takeError();
  stream = file->get();
  progress.begin("weights", writer.getNumBytes());
  if (llvm::Error error = writer.write(*stream))
    return error;
  llvm::Expected<FileSum> sum = stream->finish();
  if (!sum)
    return sum.takeError();
  sums["weights/model.safetensors"] = std::move(*sum);
  return llvm::Error::success();
}

static llvm::Error writeModule(const Model &model, bool hasStoredWeights, StringRef directory) {
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(model.module.get()->clone());
  (*copy)->removeAttr(kWeightsAttr);
  if (model.checkpoint && hasStoredWeights)
    (*copy)->setAttr(kWeightsAttr, StringAttr::get(copy->getContext(), "weights"));
  std::string text;
  llvm::raw_string_ostream os(text);
  copy->print(os);
  os << '\n';
  return writeFile(joinPath(directory, "model.mlir"), text);
}

static llvm::Error writeCode(const FastProgram &program, StringRef directory) {
  std::string folder = joinPath(directory, "code");
  if (std::error_code code = fs::create_directory(folder, /*IgnoreExisting=*/false, fs::all_all))
    return makeError("cannot write " + folder + ": " + code.message());
  for (const CodeObject &object : program.objects) {
    StringRef bytes(object.bytes.data(), object.bytes.size());
    if (llvm::Error error = writeFile(joinPath(directory, getCodeFile(object)), bytes))
      return error;
  }
  return llvm::Error::success();
}

static llvm::Error copyVerbatim(const Model &model, StringRef directory) {
  if (model.checkpointDir.empty())
    return llvm::Error::success();
  std::vector<std::string> names(std::begin(kVerbatimFiles), std::end(kVerbatimFiles));
  std::string templates = joinPath(model.checkpointDir, kTemplateFolder);
  std::error_code code;
  for (fs::directory_iterator it(templates, code), end; !code && it != end; it.increment(code))
    if (StringRef(it->path()).ends_with(".jinja"))
      names.push_back(joinPath(kTemplateFolder, llvm::sys::path::filename(it->path())));
  for (const std::string &name : names) {
    std::string from = joinPath(model.checkpointDir, name), to = joinPath(directory, name);
    if (!fs::exists(from))
      continue;
    auto buffer = llvm::MemoryBuffer::getFile(from, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return makeError("cannot read " + from + ": " + buffer.getError().message());
    StringRef content = (*buffer)->getBuffer();
    if (isLfsPointer(content))
      return makeLfsError(from);
    content.consume_front(kByteOrderMark);
    if (std::error_code code = fs::create_directories(llvm::sys::path::parent_path(to)))
      return makeError("cannot create the folder of " + to + ": " + code.message());
    if (llvm::Error error = writeFile(to, content))
      return error;
  }
  return llvm::Error::success();
}

/// Size and checksum of every file, by its path in the artefact. Those in `known` are not read again.
static llvm::Expected<std::map<std::string, manifest::FileFacts>> listFiles(StringRef directory,
                                                                            const FileSums &known) {
  std::map<std::string, manifest::FileFacts> files;
  std::error_code code;
  for (fs::recursive_directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    if (it->type() == fs::file_type::directory_file)
      continue;
    std::string name = StringRef(it->path()).drop_front(directory.size() + 1).str();
    auto written = known.find(name);
    llvm::Expected<FileSum> sum = written == known.end() ? hashFile(it->path()) : written->second;
    if (!sum)
      return sum.takeError();
    files[name] = {static_cast<int64_t>(sum->bytes), sum->sha256};
  }
  if (code)
    return makeError("cannot list " + directory + ": " + code.message());
  return files;
}

/// The weights in the form that the pipeline's code reads, and that code.
static llvm::Error writePayload(const Model &model, const FastProgram *program, StringRef directory, FileSums &sums,
                                Progress &progress) {
  if (!program)
    return writeWeights(model, directory, sums, progress);
  if (llvm::Error error = writeCode(*program, directory))
    return error;
  PackingSource source{*model.module, model.checkpoint ? &*model.checkpoint : nullptr};
  for (const PackedWeights &weights : program->weights) {
    llvm::Expected<FileSum> sum =
        writePackedWeights(*weights.contents, source, joinPath(directory, weights.file), progress);
    if (!sum)
      return sum.takeError();
    sums[weights.file] = std::move(*sum);
  }
  return llvm::Error::success();
}

static llvm::Error writeContent(const Model &model, const FastProgram *program, StringRef directory,
                                CompileStats &stats, Progress &progress) {
  StageTimer timer(stats.seconds);
  if (llvm::Error error = writeModule(model, /*hasStoredWeights=*/!program, directory))
    return error;
  FileSums sums;
  if (llvm::Error error = writePayload(model, program, directory, sums, progress))
    return error;
  timer.end("write weights");
  progress.begin("checksums");
  if (llvm::Error error = copyVerbatim(model, directory))
    return error;
  llvm::Expected<std::map<std::string, manifest::FileFacts>> files = listFiles(directory, sums);
  if (!files)
    return files.takeError();
  manifest::Manifest manifest = model.manifest;
  if (program) {
    manifest.targets.clear();
    for (const CodeObject &object : program->objects)
      manifest.targets.push_back(object.isa);
    manifest.code = describeCode(*program);
  }
  manifest.files = std::move(*files);
  // A model whose numbers no reader would take is refused here rather than where it runs.
  std::string path = joinPath(directory, manifest::kFile), text = manifest::print(std::move(manifest)), problem;
  if (!manifest::parse(text, manifest::kFile, problem))
    return makeError("the model does not fit an artefact: " + problem);
  if (llvm::Error error = writeFile(path, text))
    return error;
  // The manifest has the checksums of all other files; its own stands beside it.
  llvm::Expected<FileSum> sum = hashFile(path);
  if (!sum)
    return sum.takeError();
  llvm::Error error = writeFile(joinPath(directory, manifest::kSumFile), sum->sha256 + "\n");
  timer.end("checksums");
  return error;
}

//===----------------------------------------------------------------------===//
// Place
//===----------------------------------------------------------------------===//

/// Whether a directory is an artefact of any version.
static bool isArtefact(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(joinPath(path, manifest::kFile));
  return buffer && manifest::isManifest((*buffer)->getBuffer());
}

static llvm::Error verifyTarget(StringRef output, bool force) {
  if (!fs::exists(output))
    return llvm::Error::success();
  if (!force)
    return makeError(output + " exists already; --force replaces it");
  if (!fs::is_directory(output) || !isArtefact(output))
    return makeError(output + " exists and is not an artefact, so it is not replaced");
  return llvm::Error::success();
}

/// Gives the temporary directory the target's name; an old artefact steps aside first and goes last.
static llvm::Error publish(StringRef temporary, StringRef output) {
  SmallString<256> old;
  if (fs::exists(output)) {
    fs::createUniquePath(output + ".old-%%%%%%", old, /*MakeAbsolute=*/false);
    if (std::error_code code = fs::rename(output, old))
      return makeError("cannot replace " + output + ": " + code.message());
  }
  if (std::error_code code = fs::rename(temporary, output)) {
    if (!old.empty())
      (void)fs::rename(old, output);
    return makeError("cannot write " + output + ": " + code.message());
  }
  if (!old.empty())
    (void)fs::remove_directories(old);
  return llvm::Error::success();
}

llvm::Error lariat::writeArtefact(const Model &model, const CompileOptions &options, const FastProgram *program,
                                  CompileStats &stats, Progress &progress) {
  SmallString<256> output(options.output), temporary;
  if (std::error_code code = fs::make_absolute(output))
    return makeError("cannot write " + options.output + ": " + code.message());
  while (output.size() > 1 && output.back() == '/')
    output.pop_back();
  if (llvm::Error error = verifyTarget(output, options.force))
    return error;
  fs::createUniquePath(output + ".tmp-%%%%%%", temporary, /*MakeAbsolute=*/false);
  Unfinished unfinished(temporary);
  if (std::error_code code = fs::create_directory(temporary, /*IgnoreExisting=*/false, fs::all_all))
    return makeError("cannot write " + output + ": " + code.message());
  if (llvm::Error error = writeContent(model, program, temporary, stats, progress))
    return error;
  return unfinished.finish([&] { return publish(temporary, output); });
}
