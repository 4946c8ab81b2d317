// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// manifest.json as structures: what a compiler says about an artefact, and a runtime relies on. Manifest.cpp describes
// each of them once, key by key; writing, reading with checks and the list of keys follow from that description.
// docs/artefact.md says what each key means.

#ifndef LARIAT_ARTEFACT_MANIFEST_H
#define LARIAT_ARTEFACT_MANIFEST_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/ElementType.h"
#include "lariat/Artefact/Modes.h"
#include "lariat/Artefact/SlotRule.h"
#include "lariat/Artefact/StepRecord.h"
#include "lariat/Artefact/Version.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::manifest {

inline constexpr const char *kFile = "manifest.json";
/// Beside a manifest: its own checksum.
inline constexpr const char *kSumFile = "manifest.sha256";

//===----------------------------------------------------------------------===//
// Caches and states
//===----------------------------------------------------------------------===//

/// A KV cache.
struct Cache {
  std::string name;
  int64_t layers = 0, heads = 0, dim = 0;
  abi::ElementType type = abi::ElementType::F32;
  bool looped = false;                ///< a loop over depth chooses its slots
  bool anySlot = false;               ///< rows write other slots than those of their loop steps
  int64_t depthFactor = 1;            ///< depths per step of the outermost loop: steps of those inside of it
  std::optional<int64_t> depths;      ///< that it declares; none: as many as its rows reach
  std::optional<int64_t> slotsAtMost; ///< that it can ever have; none: that grows with the loop steps
  abi::SlotRule prompt, generated;    ///< of rows of either kind
  bool transient = false;             ///< of attention among the rows of one call; no key

  // What people read about it.
  std::string policy;                      ///< the attribute in words
  std::optional<std::string> declared;     ///< the model's own policy, where another one took its place
  std::optional<abi::MissingMode> missing; ///< what later rows see of one that stopped; none where none can be missing
  std::vector<abi::MissingMode> allowed;   ///< the modes a caller may ask for
  std::vector<abi::MissingMode> filling;   ///< those of them in which a row that stopped gets entries of its own
  abi::RowOrder order = abi::RowOrder::Free;          ///< of rows of the prompt, at the default loop steps
  abi::RowOrder generatedOrder = abi::RowOrder::Free; ///< of generated ones
  int64_t slots = 1;                                  ///< at the default loop steps
  std::string formula;                                ///< live bytes in words
  int64_t bytesPerToken = 0;                          ///< of one that runs the default loop steps, all layers

  /// Whether there are no more slots than depths that rows reach.
  bool followsLoops() const { return !depths; }
  /// Keys and values of one entry of one layer.
  int64_t getLayerBytes() const { return 2 * heads * dim * abi::getElementBytes(type); }
  /// The same of all layers.
  int64_t getEntryBytes() const { return layers * getLayerBytes(); }
  int64_t getPageBytes() const { return getEntryBytes() * abi::kPageEntries; }
};

/// A lariat.state: [layer][depth][width] per sequence.
struct State {
  std::string name;
  int64_t layers = 0, width = 0;
  abi::ElementType type = abi::ElementType::F32;
  int64_t depthFactor = 1; ///< as that of a cache
};

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

struct ModelSection {
  std::string family;
  abi::ModelKind kind = abi::ModelKind::Decoder;
  int64_t vocab = 1, context = 1;
  std::vector<int64_t> eos;
  std::optional<std::string> shape;
};

/// Loop steps that a request may ask for; `max` 0: no limit.
struct LoopsSection {
  int64_t defaultSteps = 1, minSteps = 1, maxSteps = 1;
  std::optional<int64_t> stepsWithExit; ///< the default where rows may exit; none: `defaultSteps`
};

/// The declared exit rule; without `never`, rows stop by it whatever a request says.
struct ExitSection {
  std::string rule;
  std::optional<double> never, low, high; ///< thresholds: at which no row exits, and their range
  std::optional<double> declared;         ///< of a request that gives none
  std::optional<double> usual;            ///< one that the rule's source names
};

/// A weight with one value per depth and none beyond.
struct DepthWeight {
  std::string name;
  int64_t depths = 0;
};

/// What decides which requests the model answers.
struct TraitsSection {
  bool mixesCallRows = false; ///< attends or reduces among the rows of one call
  bool hasTopK = false;
  bool hasPrefixMask = false;
  std::optional<std::string> computeRefusal; ///< why `missing = compute` is not on offer
  std::optional<std::string> cutReason;      ///< why results depend on how a prompt is cut, whatever the policies say
  std::vector<DepthWeight> depthWeights;     ///< which rows may not be deeper than
};

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// An input or output of an entry function.
struct Port {
  std::string name;
  bool isRows = false;                             ///< a row set: int64_t[rows][6], see lariat::abi::RowColumn
  abi::ElementType type = abi::ElementType::Index; ///< of a value
  int64_t width = 0;                               ///< elements per row; 0: one, and lines are contiguous
  int64_t rowSet = -1; ///< number of the input that is the row set it belongs to; -1: one that the function makes

  /// Elements of a row, at least one.
  int64_t getNumElements() const { return width == 0 ? 1 : width; }
  /// Bytes of a row without filling.
  int64_t getValueBytes() const;
  /// Bytes from one line to the next as compiled code sees it: rows of a width are filled up to 16 elements.
  int64_t getLineBytes() const;
};

/// An entry function.
struct Function {
  std::string name; ///< "forward", "prelude", "core", "fill", "coda"
  abi::RunMode mode = abi::RunMode::Score;
  std::optional<abi::MissingMode> missing; ///< that it was compiled for; none where that makes no difference
  bool derived = false;                    ///< one of the step functions, or @forward of that variant
  std::string symbol;
  std::vector<Port> inputs, outputs;
  std::vector<abi::RecordPart> record; ///< of @prelude: which part of the seat record each output is
  int64_t arenaBytesPerRow = 0, cells = 0, scratchBytes = 0;
  int64_t index = 0; ///< in Code::functions; no key

  /// Number of the input or output of that name, or -1.
  int64_t findInput(std::string_view name) const;
  int64_t findOutput(std::string_view name) const;
};

/// A variant that the compiler could not make, and why.
struct RefusedVariant {
  abi::RunMode mode = abi::RunMode::Score;
  std::optional<abi::MissingMode> missing;
  bool derived = false;
  std::string error;
};

/// Code for one ISA.
struct CodeObject {
  std::string isa, layout; ///< the layout by its name
  std::string file;
  std::vector<std::string> features; ///< that it requires of the machine
  int64_t kernels = 0;               ///< in the table that it exports
};

/// A rotary table that the runtime computes: f32 [positions][pairs][2].
struct RopeTable {
  int64_t offset = 0;    ///< its first byte among the tables
  int64_t lineBytes = 0; ///< from one position to the next
  int64_t positions = 0, pairs = 0;
  int64_t frequencies = 0;                           ///< the byte where they begin in weights of any layout, f64
  double magnitude = 1;                              ///< of cosines and sines
  int64_t angleDigits = 24, angleMinExponent = -126; ///< of the type to which they are rounded
};

/// The file with packed weights.
struct WeightsFile {
  std::string file;
  int64_t bytes = 0;
};

/// A layout of weights and pages that objects have, and the weights in it.
struct Layout : abi::Layout {
  WeightsFile weights;
};

/// A cache of attention among the rows of one call, in f32, with one slot.
struct CallCache {
  std::string name;
  int64_t layers = 0, heads = 0, dim = 0;
};

/// The orders in which kernels form their sums, by kind of kernel; none where there is no such kernel. Results of two
/// artefacts are equal bit for bit only under equal ones.
struct Sums {
  std::optional<std::string> attend, gemm;
};

struct CodeSection {
  std::vector<CodeObject> objects; ///< best first
  std::vector<Layout> layouts;
  Sums sums;
  std::vector<CallCache> callCaches; ///< numbered behind those of the model
  std::vector<RopeTable> ropeTables;
  std::vector<Function> functions;
  std::vector<RefusedVariant> refused;

  /// The layout of that name, or null.
  const Layout *findLayout(std::string_view name) const;
};

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// Size and checksum of a file.
struct FileFacts {
  int64_t bytes = 0;
  std::string sha256;
};

struct Manifest {
  std::string lariatVersion = kLariatVersion;
  abi::Pipeline pipeline = abi::Pipeline::Fast;
  std::string dtype, kvDtype;
  std::vector<std::string> targets;
  ModelSection model;
  LoopsSection loops;
  std::optional<ExitSection> exit;
  TraitsSection traits;
  std::vector<std::string> modes;
  int64_t bytesPerToken = 0; ///< of all caches
  std::vector<Cache> caches;
  std::vector<State> states;
  std::optional<CodeSection> code; ///< of the fast pipeline
  std::map<std::string, FileFacts> files;
  std::string digest; ///< SHA-256 of the text it was read from, set by whoever reads a file; no key

  /// Caches by their numbers in code: the model's, then those of calls, which are transient.
  std::vector<Cache> getAllCaches() const;
  size_t getNumCaches() const { return caches.size() + (code ? code->callCaches.size() : 0); }
};

/// The text of manifest.json.
std::string print(Manifest manifest);

/// Reads and checks such a text: versions first, then types, ranges, sizes that cannot overflow, paths that stay inside
/// the artefact, and that no key is missing, unknown or there twice. `place` is its path, for messages. Nothing, and a
/// sentence in `problem`, where anything is wrong.
std::optional<Manifest> parse(std::string_view text, const std::string &place, std::string &problem);

/// Whether a text is the manifest of an artefact of any version.
bool isManifest(std::string_view text);

/// A key of the schema: its place, as "caches[].prompt.slot", and what stands there.
struct Key {
  std::string place, kind;
  bool isOptional = false; ///< may be absent or null
};

/// All keys, in the order of their description.
std::vector<Key> listKeys();

} // namespace lariat::manifest

#endif // LARIAT_ARTEFACT_MANIFEST_H
