// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opening artefacts: good ones, damaged ones, hostile ones. What is not good is an error with a sentence, never a
// crash.

#include "FakeArtefact.h"
#include "ThreadSanitizer.h"
#include "lariat/Runtime/Base/Features.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace lariat;
using namespace lariat::runtime;
using nlohmann::json;

static bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

#define EXPECT_CONTAINS(text, part)                                                                                    \
  do {                                                                                                                 \
    std::string found = (text);                                                                                        \
    EXPECT_TRUE(contains(found, part)) << found;                                                                       \
  } while (false)

TEST(Load, opensAndChoosesWhatTheMachineRuns) {
  FakeArtefact artefact;
  std::unique_ptr<Model> model = artefact.open();
  ASSERT_TRUE(model);
  EXPECT_EQ(model->getIsa(), "none");
  EXPECT_EQ(model->getManifest().pipeline, lariat::abi::Pipeline::Fast);
  EXPECT_EQ(model->getManifest().code->functions.size(), 6u);
  EXPECT_EQ(model->getNumThreads(), 2);
}

/// Code gets the weights of its own layout, and the others are not opened.
TEST(Load, weightsAreThoseOfTheLayout) {
  FakeArtefact artefact;
  artefact.write("weights.wide.bin", std::string(128, 'w'));
  artefact.list("weights.wide.bin");
  json &code = artefact.manifest["code"];
  code["layouts"].push_back({{"name", "wide"},
                             {"panel_columns", 32},
                             {"keys", "entries"},
                             {"weights", {{"file", "weights.wide.bin"}, {"bytes", 128}}}});
  artefact.writeManifest();
  std::filesystem::rename(artefact.folder / "weights.wide.bin", artefact.folder / "elsewhere.bin");
  std::unique_ptr<Model> first = artefact.open();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->getMemoryUse().weightBytes, 4096);

  std::filesystem::rename(artefact.folder / "elsewhere.bin", artefact.folder / "weights.wide.bin");
  code["objects"][1]["layout"] = "wide";
  artefact.writeManifest();
  std::filesystem::remove(artefact.folder / "weights.bin");
  std::unique_ptr<Model> second = artefact.open();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->getMemoryUse().weightBytes, 128);
}

TEST(Load, severalModelsAtOnce) {
  FakeArtefact first, second;
  std::unique_ptr<Model> a = first.open(), b = second.open(), c = first.open();
  ASSERT_TRUE(a && b && c);
  a.reset();
  std::unique_ptr<Model> d = second.open();
  EXPECT_TRUE(d);
}

TEST(Load, isaThatIsNotThere) {
  FakeArtefact artefact;
  EXPECT_CONTAINS(artefact.openError({.threads = 1, .isa = "sve"}),
                  "has no code for ISA 'sve' that this machine runs, only future (this machine lacks "
                  "a-feature-of-the-future); none");
  EXPECT_CONTAINS(artefact.openError({.threads = 1, .isa = "future"}), "has no code for ISA 'future'");
  artefact.manifest["code"]["objects"].erase(1);
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "has no code that this machine runs, only future");
}

TEST(Load, whatIsNoArtefact) {
  FakeArtefact artefact;
  EXPECT_CONTAINS(Model::open(artefact.path() + "/nowhere", {}).text(), "no such artefact");
  EXPECT_CONTAINS(Model::open(artefact.path() + "/weights.bin", {}).text(), "not an artefact");
  EXPECT_CONTAINS(Model::open(artefact.path() + "/code", {}).text(), "cannot open");
  artefact.write("manifest.json", "{\"pipeline\": ");
  EXPECT_CONTAINS(artefact.openError(), "manifest.json: not JSON");
  artefact.write("manifest.json", "[1]");
  EXPECT_CONTAINS(artefact.openError(), "expected an object, found a list");
}

TEST(Load, versionsAreNamed) {
  FakeArtefact artefact;
  artefact.manifest["format_version"] = 7;
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "has format version 7, this version reads 2");
  artefact.manifest["format_version"] = 2;
  artefact.manifest["code"]["abi_version"] = 99;
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "'code': code of version 99, this version runs 5");
  artefact.manifest["code"] = nullptr;
  artefact.manifest["pipeline"] = "reference";
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "compiled with pipeline 'reference', which only lariat-reference runs");
}

TEST(Load, theTableHasTheKernelsOfTheManifest) {
  FakeArtefact artefact;
  artefact.manifest["code"]["objects"][1]["kernels"] = 4;
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "code/none.so has a table of 3 kernels, expected 4");
}

TEST(Load, anObjectHasATableOfKernels) {
  FakeArtefact artefact;
  // The whole name: a sanitizer puts others around it.
  std::string bytes = artefact.read("code/none.so"), name = '\0' + std::string(lariat::abi::kKernelsSymbol);
  for (size_t place = 0; (place = bytes.find(name, place)) != std::string::npos;)
    bytes[place + name.size() - 1] = 'z';
  artefact.write("code/none.so", bytes);
  artefact.list("code/none.so");
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "code/none.so lacks the symbol 'lariat_kernels'");
}

TEST(Load, frequenciesLieInTheWeights) {
  FakeArtefact artefact;
  nlohmann::json table{{"offset", 0},      {"line_bytes", 64}, {"positions", 10'000'000}, {"pairs", 2},
                       {"frequencies", 0}, {"magnitude", 1.0}, {"angle_digits", 24},      {"angle_min_exponent", -126}};
  auto errorWith = [&](const char *key, const nlohmann::json &value) {
    nlohmann::json changed = table;
    changed[key] = value;
    artefact.manifest["code"]["rope_tables"] = nlohmann::json::array({changed});
    artefact.writeManifest();
    return artefact.openError();
  };
  EXPECT_CONTAINS(errorWith("frequencies", int64_t(1) << 40),
                  "2 numbers from 1099511627776 on do not lie in a file of");
  EXPECT_CONTAINS(errorWith("frequencies", 4), "2 numbers from 4 on do not lie in a file of");
  EXPECT_CONTAINS(errorWith("line_bytes", 8), "lines of 8 bytes from 0 on do not hold 2 pairs");
  EXPECT_CONTAINS(errorWith("magnitude", "x"), "'magnitude': expected a finite number, found");
}

TEST(Load, damagedFiles) {
  for (const char *file : {"code/none.so", "weights.bin"}) {
    FakeArtefact artefact;
    std::string bytes = artefact.read(file);
    for (size_t length : {size_t(0), size_t(1), bytes.size() / 2, bytes.size() - 1}) {
      artefact.write(file, bytes.substr(0, length));
      EXPECT_CONTAINS(artefact.openError(), std::string(file) + " has " + std::to_string(length) + " bytes");
    }
    artefact.write(file, bytes + '\0');
    EXPECT_CONTAINS(artefact.openError(), "bytes, the manifest says " + std::to_string(bytes.size()));
    for (size_t place = 0; place < bytes.size(); place += bytes.size() / 50 + 1) {
      std::string changed = bytes;
      changed[place] = static_cast<char>(changed[place] ^ 16);
      artefact.write(file, changed);
      EXPECT_CONTAINS(artefact.openError(), std::string(file) + " is damaged");
    }
    std::filesystem::remove(artefact.folder / file);
    EXPECT_CONTAINS(artefact.openError(), std::string("cannot open"));
    artefact.write(file, bytes);
    EXPECT_EQ(artefact.openError(), "");
  }
}

TEST(Load, damagedWeightsPassOnlyUnverified) {
  FakeArtefact artefact;
  std::string bytes = artefact.read("weights.bin");
  bytes[17] ^= 1;
  artefact.write("weights.bin", bytes);
  EXPECT_CONTAINS(artefact.openError(), "weights.bin is damaged");
  EXPECT_EQ(artefact.openError({.threads = 1, .verify = Verify::Code}), "");
}

/// A manifest of which a part is gone or changed is an error or opens; it is an error where its checksum lies beside
/// it.
TEST(Load, damagedManifest) {
  FakeArtefact artefact;
  std::string text = artefact.manifest.dump();
  for (size_t length = 0; length < text.size(); length += 5) {
    artefact.write("manifest.json", text.substr(0, length));
    EXPECT_NE(artefact.openError(), "");
  }
  size_t opened = 0;
  for (size_t place = 0; place < text.size(); place += 3) {
    std::string changed = text;
    changed[place] = static_cast<char>(changed[place] ^ (1 << place % 8));
    artefact.write("manifest.json", changed);
    opened += artefact.openError().empty();
  }
  EXPECT_LT(opened, text.size());

  artefact.write("manifest.json", text);
  artefact.list("manifest.json");
  std::string sum = artefact.manifest["files"]["manifest.json"]["sha256"];
  artefact.write("manifest.sha256", sum + "\n");
  EXPECT_EQ(artefact.openError(), "");
  for (size_t place = 0; place < text.size(); place += 37) {
    std::string changed = text;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    artefact.write("manifest.json", changed);
    EXPECT_CONTAINS(artefact.openError(), "manifest.json is damaged");
  }
}

/// One place of a manifest, what is put there, and part of the message.
struct Change {
  const char *place;
  json value;
  const char *message;
};

TEST(Load, manifestsThatAreNotSo) {
  const Change changes[] = {
      {"/code/layouts/0/weights/file", "../weights.bin", "has an empty part, '.' or '..'"},
      {"/code/layouts/0/weights/file", "/etc/passwd", "is not relative"},
      {"/code/layouts/0/weights/file", "other.bin", "is not among the files"},
      {"/code/layouts/0/weights/bytes", -1, "expected an integer from 0"},
      {"/code/layouts/0/weights/bytes", 18446744073709551615ULL, "found 18446744073709551615"},
      {"/code/layouts/0/weights/bytes", 4095, "has 4096 bytes, code expects 4095"},
      {"/code/layouts/0/name", "gpu", "'objects': 'future' has the layout 'cpu', which is not among 'layouts'"},
      {"/code/layouts/0/panel_columns", 24, "'panel_columns': expected a multiple of 16, found 24"},
      {"/code/layouts/0/keys", "rows", "'keys': expected columns or entries, found \"rows\""},
      {"/code/objects", json::array(), "expected at least one"},
      {"/code/objects/1/requires", "avx2", "'requires': expected a list, found \"avx2\""},
      {"/code/objects/1/file", nullptr, "'file': expected a string, found nothing"},
      {"/caches/0/layers", 0, "'layers': expected an integer from 1"},
      {"/caches/0/type", "f16", "'type': expected f32, bf16, i32, index or i1, found \"f16\""},
      {"/caches/0/type", "i32", "expected f32 or bf16"},
      {"/caches/0/dim", int64_t(1) << 20, "'bytes_per_entry': expected 8388608, as other keys say, found 16"},
      {"/code/functions/0/inputs/1/rows", 1, "input 'ids' belongs to input 1, which is not a row set"},
      {"/code/functions/0/inputs/1/rows", 77, "belongs to input 77"},
      {"/code/functions/0/inputs/0/kind", "row", "'kind': expected rows or values, found \"row\""},
      {"/code/functions/0/mode", "train", "'mode': expected score or generate, found \"train\""},
      {"/code/functions/0/missing", "later", "'missing': expected skip, slot0, copy_last, propagate or compute, found"},
      {"/caches/0/prompt/slot", "square", "'slot': expected own, first, shared or ring, found \"square\""},
      {"/caches/0/generated/order", "backwards", "'order': expected free, atomic or sequential, found \"backwards\""},
      {"/pipeline", "slow", "'pipeline': expected reference or fast, found \"slow\""},
      {"/code/functions/0/cells", 5, "'cells': expected an integer from 6"},
      {"/code/functions/0/derived", 0, "'derived': expected true or false, found 0"},
      {"/code/functions/0/symbol", "lariat_nothing", "lacks the symbol 'lariat_nothing'"},
      {"/code/functions/0/arena_bytes_per_row", 1.5, "found 1.5"},
      {"/files/weights.bin/sha256", "abc", "expected 64 hex digits"},
      {"/files", nullptr, "'files': expected an object, found nothing"},
  };
  for (const Change &change : changes) {
    FakeArtefact artefact;
    artefact.manifest[json::json_pointer(change.place)] = change.value;
    artefact.writeManifest();
    EXPECT_CONTAINS(artefact.openError(), change.message);
  }
}

TEST(Load, linksAreRefused) {
  FakeArtefact artefact;
  std::filesystem::rename(artefact.folder / "weights.bin", artefact.folder / "elsewhere.bin");
  std::filesystem::create_symlink("elsewhere.bin", artefact.folder / "weights.bin");
  EXPECT_CONTAINS(artefact.openError(), "weights.bin is a link");
  std::filesystem::remove(artefact.folder / "weights.bin");
  std::filesystem::rename(artefact.folder / "elsewhere.bin", artefact.folder / "weights.bin");
  std::filesystem::rename(artefact.folder / "code", artefact.folder / "elsewhere");
  std::filesystem::create_directory_symlink("elsewhere", artefact.folder / "code");
  EXPECT_CONTAINS(artefact.openError(), "is a link");
}

TEST(Load, codeThatIsNoCode) {
  FakeArtefact artefact;
  artefact.write("code/none.so", "not a shared object at all");
  artefact.list("code/none.so");
  artefact.writeManifest();
  EXPECT_CONTAINS(artefact.openError(), "cannot load");
  EXPECT_CONTAINS(artefact.openError(), "code/none.so");
}

TEST(Load, optionsOutOfRange) {
  FakeArtefact artefact;
  EXPECT_CONTAINS(artefact.openError({.threads = 100000}), "100000 threads, expected 1 to 1024");
  EXPECT_CONTAINS(artefact.openError({.threads = -1}), "-1 threads");
  EXPECT_CONTAINS(artefact.openError({.threads = 1, .kvBytes = -5}), "a limit of -5 bytes");
}

TEST(Load, functionsAndVariants) {
  FakeArtefact artefact;
  std::unique_ptr<Model> model = artefact.open();
  EXPECT_CONTAINS(model->findFunction({.name = "core"}).text(),
                  "has no function core (score), only double (score), cache");
  EXPECT_CONTAINS(model->findFunction({.name = "double", .mode = "generate"}).text(), "the router is not causal");
  EXPECT_TRUE(model->findFunction({.name = "double", .missing = "skip"})); // what is declared
  EXPECT_FALSE(model->findFunction({.name = "double", .missing = "compute"}));
}

TEST(Load, afterCloseEverythingIsAnError) {
  FakeArtefact artefact;
  std::unique_ptr<Model> model = artefact.open();
  Expected<std::unique_ptr<Sequence>> sequence = model->createSequence();
  ASSERT_TRUE(sequence);
  const Function *function = find(*model, "double");
  model->close();
  model->close();
  CallResult result;
  EXPECT_CONTAINS(model->call({.function = function}, result).text(), "is closed");
  EXPECT_CONTAINS(model->createSequence().text(), "is closed");
  EXPECT_CONTAINS((*sequence)->truncate(0).text(), "is closed");
  EXPECT_TRUE((*sequence)->getUse().empty());
  EXPECT_EQ(model->getMemoryUse().pageBytes, 0);
  EXPECT_EQ(model->getManifest().code->functions.size(), 6u);
  model.reset();
  sequence->reset();
}

TEST(Load, aChildOfForkGetsAnError) {
  if (LARIAT_HAS_TSAN)
    GTEST_SKIP() << "the thread sanitizer does not follow a process with threads into a child";
  FakeArtefact artefact;
  std::unique_ptr<Model> model = artefact.open();
  Expected<std::unique_ptr<Sequence>> sequence = model->createSequence();
  pid_t child = fork();
  if (child == 0) {
    CallResult result;
    Status status = model->call({.function = find(*model, "double")}, result);
    bool good = contains(status.text(), "which has to open it again") && !model->createSequence() &&
                !(*sequence)->truncate(0).ok();
    sequence->reset();
    model.reset();
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
