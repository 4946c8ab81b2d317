// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens an artefact: manifest, then the object for this machine, then weights, then code. Nothing of it runs before
// everything that was asked for has been compared with the manifest. Hashing weights reads them all, at 1 to 2 GB/s, so
// a process does it once for a file that has not changed since; LoadOptions::verify leaves it out. It reads the file
// rather than the mapping: a file of any size takes no more memory until a call touches its pages, which are the page
// cache's.

#include "lariat/Runtime/Load/Artefact.h"

#include "Files.h"
#include "MappedCode.h"
#include "lariat/Artefact/Sha256.h"
#include "lariat/Runtime/Base/Features.h"

#include <algorithm>
#include <mutex>
#include <set>

using namespace lariat;
using namespace lariat::runtime;

static constexpr int64_t kMaxManifestBytes = int64_t(1) << 28;
static constexpr const char *kNoSha256 = "libcrypto cannot compute SHA-256";

//===----------------------------------------------------------------------===//
// Checking bytes
//===----------------------------------------------------------------------===//

static Status compareSum(const std::optional<std::string> &found, const std::string &expected,
                         const std::string &place) {
  if (!found)
    return makeError(kNoSha256);
  if (*found != expected)
    return makeError(place, " is damaged: its SHA-256 is ", *found, ", the manifest says ", expected);
  return Status::success();
}

static Expected<OpenFile> openListed(const FileDescriptor &folder, const Manifest &manifest, const std::string &file,
                                     const std::string &place) {
  Expected<OpenFile> opened = openBelow(folder, file, place);
  if (!opened)
    return opened.takeError();
  int64_t expected = manifest.files.at(file).bytes;
  if (opened->identity.bytes != expected)
    return makeError(place, "/", file, " has ", opened->identity.bytes, " bytes, the manifest says ", expected);
  return opened;
}

namespace {

/// Files whose checksum this process has compared.
struct CheckedFiles {
  std::mutex mutex;
  std::set<std::pair<FileIdentity, std::string>> files;

  static CheckedFiles &get() {
    static CheckedFiles checked;
    return checked;
  }
  bool has(const FileIdentity &identity, const std::string &sum) {
    std::lock_guard lock(mutex);
    return files.count({identity, sum}) != 0;
  }
  void add(const FileIdentity &identity, const std::string &sum) {
    std::lock_guard lock(mutex);
    files.insert({identity, sum});
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

static std::string_view toText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// Compares the checksum of a manifest with the one that lies beside it, where there is one.
static Status verifyManifestSum(const FileDescriptor &folder, const std::string &found, const std::string &path) {
  std::string place = path + "/" + manifest::kSumFile;
  Expected<OpenFile> file = openBelow(folder, manifest::kSumFile, path);
  if (!file)
    return Status::success();
  if (file->identity.bytes < 64 || file->identity.bytes > 4096)
    return makeError(place, " has ", file->identity.bytes, " bytes, expected 64 hex digits");
  Expected<std::vector<std::byte>> sum = readFile(file->descriptor, file->identity.bytes, place);
  if (!sum)
    return sum.takeError();
  if (found != toText(*sum).substr(0, 64))
    return makeError(path, "/", manifest::kFile, " is damaged: its SHA-256 is ", found, ", ", manifest::kSumFile,
                     " says another");
  return Status::success();
}

static Expected<Manifest> readManifest(const FileDescriptor &folder, const std::string &path) {
  std::string place = path + "/" + manifest::kFile;
  Expected<OpenFile> file = openBelow(folder, manifest::kFile, path);
  if (!file)
    return file.takeError();
  if (file->identity.bytes > kMaxManifestBytes)
    return makeError(place, " has ", file->identity.bytes, " bytes, expected at most ", kMaxManifestBytes);
  Expected<std::vector<std::byte>> bytes = readFile(file->descriptor, file->identity.bytes, place);
  if (!bytes)
    return bytes.takeError();
  std::optional<std::string> digest = computeSha256(*bytes);
  if (!digest)
    return makeError(kNoSha256);
  if (Status status = verifyManifestSum(folder, *digest, path))
    return status.takeError();
  std::string problem;
  std::optional<Manifest> manifest = manifest::parse(toText(*bytes), place, problem);
  if (!manifest)
    return makeError(problem);
  if (manifest->pipeline != abi::Pipeline::Fast)
    return makeError(place, " was compiled with pipeline 'reference', which only lariat-reference runs: compile with "
                            "pipeline 'fast'");
  manifest->digest = std::move(*digest);
  return std::move(*manifest);
}

static std::string join(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

static std::vector<std::string> findLacking(const CodeObject &object) {
  std::vector<std::string> lacking;
  std::ranges::copy_if(object.features, std::back_inserter(lacking),
                       [](const std::string &feature) { return !machineHas(feature); });
  return lacking;
}

/// The object that `isa` names, or the first that this machine runs.
static Expected<const CodeObject *> chooseObject(const Manifest &manifest, const std::string &isa,
                                                 const std::string &path) {
  std::string offered;
  for (const CodeObject &object : manifest.code->objects) {
    std::vector<std::string> lacking = findLacking(object);
    bool fits = isa.empty() || object.isa == isa;
    if (fits && lacking.empty())
      return &object;
    offered += (offered.empty() ? "" : "; ") + object.isa;
    if (!lacking.empty())
      offered += " (this machine lacks " + join(lacking) + ")";
  }
  if (isa.empty())
    return makeError(path, " has no code that this machine runs, only ", offered);
  return makeError(path, " has no code for ISA '", isa, "' that this machine runs, only ", offered);
}

static Expected<MappedCode> loadCode(const FileDescriptor &folder, const Manifest &manifest, const std::string &file,
                                     const std::string &path) {
  std::string place = path + "/" + file;
  Expected<OpenFile> opened = openListed(folder, manifest, file, path);
  if (!opened)
    return opened.takeError();
  Expected<std::vector<std::byte>> bytes = readFile(opened->descriptor, opened->identity.bytes, place);
  if (!bytes)
    return bytes.takeError();
  if (Status status = compareSum(computeSha256(*bytes), manifest.files.at(file).sha256, place))
    return status.takeError();
  return MappedCode::load(*bytes, place);
}

static Expected<MappedFile> mapWeights(const FileDescriptor &folder, const Manifest &manifest, const Layout &layout,
                                       Verify verify, const std::string &path) {
  const auto &[file, bytes] = layout.weights;
  std::string place = path + "/" + file;
  Expected<OpenFile> opened = openListed(folder, manifest, file, path);
  if (!opened)
    return opened.takeError();
  if (opened->identity.bytes != bytes)
    return makeError(place, " has ", opened->identity.bytes, " bytes, code expects ", bytes);
  Expected<MappedFile> mapped = MappedFile::map(opened->descriptor, opened->identity.bytes, place);
  const std::string &sum = manifest.files.at(file).sha256;
  if (!mapped || verify == Verify::Code || CheckedFiles::get().has(opened->identity, sum))
    return mapped;
  Expected<std::optional<std::string>> found = hashFile(opened->descriptor, opened->identity.bytes, place);
  if (!found)
    return found.takeError();
  if (Status status = compareSum(*found, sum, place))
    return status.takeError();
  CheckedFiles::get().add(opened->identity, sum);
  return mapped;
}

//===----------------------------------------------------------------------===//
// Artefact
//===----------------------------------------------------------------------===//

Artefact::~Artefact() = default;

const std::byte *Artefact::getWeights() const { return weights ? weights->getBytes().data() : nullptr; }

int64_t Artefact::getWeightBytes() const { return weights ? static_cast<int64_t>(weights->getBytes().size()) : 0; }

void Artefact::unload() {
  entries.clear();
  kernels = nullptr;
  code.reset();
  weights.reset();
}

Expected<std::unique_ptr<Artefact>> Artefact::load(const std::string &path, const LoadOptions &options,
                                                   const abi::Services *services) {
  std::unique_ptr<Artefact> artefact(new Artefact);
  artefact->path = path;
  Expected<FileDescriptor> folder = openFolder(path);
  if (!folder)
    return folder.takeError();
  Expected<Manifest> manifest = readManifest(*folder, path);
  if (!manifest)
    return manifest.takeError();
  artefact->manifest = std::move(*manifest);
  Expected<const CodeObject *> object = chooseObject(artefact->manifest, options.isa, path);
  if (!object)
    return object.takeError();
  artefact->object = *object;
  Expected<MappedFile> weights = mapWeights(*folder, artefact->manifest, artefact->getLayout(), options.verify, path);
  if (!weights)
    return weights.takeError();
  artefact->weights = std::make_unique<MappedFile>(std::move(*weights));
  Expected<MappedCode> code = loadCode(*folder, artefact->manifest, (*object)->file, path);
  if (!code)
    return code.takeError();
  artefact->code = std::make_unique<MappedCode>(std::move(*code));

  auto resolve = [&](const std::string &symbol) -> Expected<void *> {
    if (void *address = artefact->code->find(symbol))
      return address;
    return makeError(path, "/", (*object)->file, " lacks the symbol '", symbol, "'");
  };
  for (const Function &function : artefact->manifest.code->functions) {
    Expected<void *> entry = resolve(function.symbol);
    if (!entry)
      return entry.takeError();
    artefact->entries.push_back(reinterpret_cast<EntryFunction>(*entry));
  }
  Expected<void *> table = resolve(abi::kKernelsSymbol);
  if (!table)
    return table.takeError();
  const auto &kernels = *static_cast<const abi::KernelTable *>(*table);
  if (kernels.count != (*object)->kernels)
    return makeError(path, "/", (*object)->file, " has a table of ", kernels.count, " kernels, expected ",
                     (*object)->kernels);
  artefact->kernels = kernels.kernels;
  Expected<void *> bind = resolve(abi::kBindSymbol);
  if (!bind)
    return bind.takeError();
  reinterpret_cast<void (*)(const abi::Services *)>(*bind)(services);
  return artefact;
}
