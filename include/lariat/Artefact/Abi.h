// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What compiled code and the runtime agree on, with Layout.h, RowTable.h, LookUp.h and Record.h. All words are 64 bits;
// all pointers are 64-byte aligned unless said otherwise. A change of anything in these headers raises kAbiVersion, and
// an artefact of another version is refused.
//
// An entry function is `void entry(const Call *)`. It runs on the calling thread and hands tables of records (Record.h)
// to Services::launch, whose kernels run on all threads. An object exports `lariat_bind(const Services *)`, an entry
// per symbol that the manifest lists, and the table of its kernels, `lariat_kernels`; it has no undefined symbols.

#ifndef LARIAT_ARTEFACT_ABI_H
#define LARIAT_ARTEFACT_ABI_H

#include "lariat/Artefact/Layout.h"
#include "lariat/Artefact/LookUp.h"
#include "lariat/Artefact/Record.h"
#include "lariat/Artefact/RowTable.h"

#include <cstddef>
#include <cstdint>

namespace lariat::abi {

inline constexpr int64_t kAbiVersion = 5;

/// A place in a cache. Two words; `page` null: nothing is written.
struct EntryRef {
  std::byte *page;
  int64_t index; ///< below kPageEntries
};

/// What one row may look at, in ascending order of position. Four words.
struct View {
  std::byte *const *pages;  ///< pages[i] holds kPageEntries entries from i * kPageEntries on; null if `refs` is given
  const EntryRef *refs;     ///< one per entry, or null
  const int32_t *positions; ///< one per entry, with kPrefixBit
  int64_t count;            ///< entries
};

/// One call of an entry function.
struct Call {
  std::byte *const *bases; ///< arena, weights, cells, then inputs and outputs in the order of the manifest
  int64_t paddedRows;      ///< rows of the call, rounded up to kRowPadding
  int64_t *cells;          ///< cells[i], i < number of ports: rows of port i; the rest is the entry's own
  std::byte *scratch;      ///< of thread 0; thread t has scratch + t * scratchBytes
  int64_t scratchBytes;
  std::byte *const *states;   ///< of each lariat.state: [sequence][layer][depth][width]
  const int64_t *stateDepths; ///< third dimension of each
  int64_t numSequences;
  int64_t *faults;   ///< words of Fault.h, which functions of the generic path write
  void *runtime;     ///< the runtime's own
  std::byte *tables; ///< rotary tables, of all positions that a row of the call has
};

/// Flags of Services::reserve.
enum ReserveFlag : int64_t {
  kFilledRows = 1,    ///< the rows had stopped before
  kExplicitSlots = 2, ///< every row writes: a slot below 0 is a fault
};

/// What the runtime does for compiled code. Functions over `rows` lines read and write row tables.
struct Services {
  int64_t version; ///< kAbiVersion
  /// Runs `count` records at `records` (one after the other, in memory) on all threads, with a barrier after each that
  /// has kBarrierAfter, and waits for all.
  void (*launch)(const Call *, const int64_t *records, int64_t count);
  /// Lines whose bit (a byte, 0 or 1) is set; returns how many. `out` may be `table`.
  int64_t (*compact)(const Call *, const int64_t *table, int64_t rows, const uint8_t *bits, int64_t *out);
  /// Lines with kWanted; returns how many.
  int64_t (*last)(const Call *, const int64_t *table, int64_t rows, int64_t *out);
  /// The same lines at `depth`, or, with `next`, each at the depth behind its own.
  void (*advance)(const Call *, const int64_t *table, int64_t rows, int64_t depth, int64_t next, int64_t *out);
  /// Notes a fault where a row's depth is not below `end`, of the depth-indexed weight number `weight`.
  void (*depths)(const Call *, const int64_t *table, int64_t rows, int64_t weight, int64_t end);
  /// out[i]: the line in `from` that has the root of line i of `at`.
  void (*lines)(const Call *, const int64_t *from, int64_t fromRows, const int64_t *at, int64_t rows, int64_t *out);
  /// The lines of a row table in another.
  void (*copyRows)(const Call *, const int64_t *table, int64_t rows, int64_t *out);
  /// out[i]: the slot of row i by `kind` (SlotRule::Kind) and `slots`, -1 at depth `end` and deeper. Rows with
  /// kGenerated go by the other three numbers.
  void (*slots)(const Call *, const int64_t *table, int64_t rows, int64_t kind, int64_t slots, int64_t end,
                int64_t generatedKind, int64_t generatedSlots, int64_t generatedEnd, int64_t *out);
  /// out[i]: `value`, for each of `rows` rows.
  void (*fill)(const Call *, int64_t rows, int64_t value, int64_t *out);
  /// An entry per row in its slot (-1: none, page null). `flags`: ReserveFlag.
  void (*reserve)(const Call *, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots, int64_t flags,
                  EntryRef *out);
  /// A view per row. `lookUp`: LookUp. With `generatedSlots`, entries of rows with kGenerated are looked up
  /// from there by `generatedLookUp`. `ahead`: entries of later positions too.
  void (*view)(const Call *, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots, int64_t lookUp,
               const int64_t *generatedSlots, int64_t generatedLookUp, int64_t ahead, View *out);
  /// Memory of the generic path, gone when the kernel.generic that asked for it ends.
  void *(*allocate)(int64_t bytes);
  void (*release)();
  /// Functions of the C library by the names that code asks for; see kLibraryFunctions.
  void *const *library;
};

/// Names behind Services::library, in this order. Code that needs another does not compile.
inline constexpr const char *kLibraryFunctions[] = {
    "memcpy", "memmove", "memset", "expf",   "exp",   "exp2f",      "exp2",      "logf",   "log",   "log2f",
    "log2",   "log10f",  "log10",  "log1pf", "log1p", "expm1f",     "expm1",     "sinf",   "sin",   "cosf",
    "cos",    "tanf",    "tan",    "tanhf",  "tanh",  "sinhf",      "sinh",      "coshf",  "cosh",  "asinf",
    "asin",   "acosf",   "acos",   "atanf",  "atan",  "atan2f",     "atan2",     "powf",   "pow",   "sqrtf",
    "sqrt",   "cbrtf",   "cbrt",   "erff",   "erf",   "erfcf",      "erfc",      "fmaf",   "fma",   "floorf",
    "floor",  "ceilf",   "ceil",   "roundf", "round", "roundevenf", "roundeven", "truncf", "trunc", "fmodf",
    "fmod",   "acoshf",  "acosh",  "asinhf", "asinh", "atanhf",     "atanh"};

/// All symbols that an object exports begin so.
inline constexpr const char *kExportPrefix = "lariat_";

/// The function of an object that is called first, with the services, and the object's own variable that keeps them.
inline constexpr const char *kBindSymbol = "lariat_bind";
inline constexpr const char *kServicesSymbol = "services";

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_ABI_H
