// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What the runtime needs of manifest.json, checked: types, ranges, sizes that cannot overflow, paths that stay
// inside the artefact. The rest of the manifest is kept as JSON for whoever asks.

#ifndef LARIAT_RUNTIME_LOAD_MANIFEST_H
#define LARIAT_RUNTIME_LOAD_MANIFEST_H

#include "lariat/Requests/Facts.h"
#include "lariat/Runtime/Base/Status.h"

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lariat::runtime {

/// Types of elements in ports, caches and states.
enum class ElementType { F32, BF16, I32, Index, I1 };

int64_t getElementBytes(ElementType type);
std::string_view getTypeName(ElementType type);

/// An input or output of an entry function.
struct Port {
  std::string name;
  bool isRows = false;                   ///< a row set: int64_t[rows][6], see lariat::abi::RowColumn
  ElementType type = ElementType::Index; ///< of a value
  int64_t width = 0;                     ///< elements per row; 0: one, and lines are contiguous
  int64_t rowSet = 0;                    ///< number of the input that is the row set it belongs to (of inputs only)

  /// Elements of a row, at least one.
  int64_t getNumElements() const { return width == 0 ? 1 : width; }
  /// Bytes of a row without filling.
  int64_t getValueBytes() const;
  /// Bytes from one line to the next as compiled code sees it: rows of a width are filled up to 16 elements.
  int64_t getLineBytes() const;
};

/// An entry function.
struct Function {
  std::string name;                   ///< "forward", "prelude", "core", "fill", "coda"
  std::string mode;                   ///< "score" or "generate"
  std::optional<std::string> missing; ///< the missing mode it was compiled for; none where that makes no difference
  bool derived = false;               ///< one of the step functions, or @forward of that variant
  std::string symbol;
  std::vector<Port> inputs, outputs;
  int64_t arenaBytesPerRow = 0, cells = 0, scratchBytes = 0;
  int64_t index = 0; ///< in Manifest::functions

  /// Number of the input or output of that name, or -1.
  int64_t findInput(std::string_view name) const;
  int64_t findOutput(std::string_view name) const;
};

/// A variant that the compiler could not make, and why.
struct RefusedVariant {
  std::string mode;
  std::optional<std::string> missing;
  bool derived = false;
  std::string error;
};

/// Code for one ISA.
struct CodeObject {
  std::string isa, file;
  std::vector<std::string> features; ///< that it requires of the machine
};

/// The deepest depth of a row.
inline constexpr int64_t kMostDepth = int64_t(1) << 20;

using requests::RowOrder;

/// Which slot a row at a depth writes; see lariat::SlotRule of the compiler.
struct SlotRule {
  enum Kind { Own, First, Shared, Ring };
  Kind kind = Own;
  int64_t slots = 0;               ///< of Shared and Ring
  RowOrder order = RowOrder::Free; ///< where depths share a slot

  /// -1: the row writes nothing.
  int64_t getSlot(int64_t depth) const;
  /// Slots that a row may write in `loops` loop steps.
  int64_t getNumSlots(int64_t loops) const;
};

/// A KV cache.
struct Cache {
  std::string name;
  int64_t layers = 0, heads = 0, dim = 0;
  ElementType type = ElementType::F32;
  bool looped = false;
  std::optional<int64_t> slotsAtMost;
  bool anySlot = false;       ///< rows write other slots than those of their loop steps
  int64_t depthFactor = 1;    ///< depths per step of the outermost loop: steps of those inside of it
  bool followsLoops = false;  ///< it declares no depths: it has as many as its rows reach
  bool transient = false;     ///< of attention among the rows of one call; numbered behind the model's
  SlotRule prompt, generated; ///< of rows of either kind

  /// Bytes of keys and values of one entry, all layers.
  int64_t getEntryBytes() const { return layers * heads * 2 * dim * getElementBytes(type); }
  int64_t getPageBytes() const;
};

/// A lariat.state: [layer][depth][width] per sequence.
struct State {
  std::string name;
  int64_t layers = 0, width = 0;
  ElementType type = ElementType::F32;
  int64_t depthFactor = 1; ///< as that of a cache
};

/// A rotary table that the runtime computes: f32 [positions][pairs][2].
struct RopeTable {
  int64_t offset = 0;    ///< its first byte among the tables
  int64_t lineBytes = 0; ///< from one position to the next
  int64_t positions = 0, pairs = 0;
  int64_t frequencies = 0;                           ///< the byte of the weights' file where they begin, f64
  double magnitude = 1;                              ///< of cosines and sines
  int64_t angleDigits = 24, angleMinExponent = -126; ///< of the type to which they are rounded
};

/// Size and checksum of a file.
struct FileFacts {
  int64_t bytes = 0;
  std::string sha256;
};

struct Manifest {
  nlohmann::json json; ///< all of it
  std::string digest;  ///< SHA-256 of its text, which names those of all other files; set where it is read from a file
  std::map<std::string, FileFacts> files;
  std::vector<CodeObject> objects; ///< best first
  std::string weightsFile;
  int64_t weightBytes = 0;
  std::vector<Cache> caches;
  std::vector<State> states;
  std::vector<RopeTable> ropeTables;
  std::vector<Function> functions;
  std::vector<RefusedVariant> refused;
  std::vector<std::string> checkedWeights; ///< depth-indexed ones, which rows may not be deeper than
};

/// Checks the text of a manifest. `place` is its path, for messages.
Expected<Manifest> parseManifest(std::string_view text, const std::string &place);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_LOAD_MANIFEST_H
