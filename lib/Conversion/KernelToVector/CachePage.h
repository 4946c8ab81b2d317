// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private: the pages of a cache: [layer][head]{keys [dim][64] or [64][dim], values [64][dim]}.

#ifndef LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEPAGE_H
#define LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEPAGE_H

#include "KernelWriter.h"

namespace lariat::vectors {

struct CachePage {
  kernel::CacheOp cache;

  mlir::Type getElement() { return cache.getType(); }
  int64_t getElementBytes() { return kernel::getElementBytes(cache.getType()); }
  /// Whether keys lie as panels of products do: a line per column.
  bool hasKeyPanels() { return cache.getKeys() == kernel::KeyOrder::Columns; }
  /// Bytes of a line of keys in panels.
  int64_t getKeyLineBytes() { return kernel::kPageEntries * getElementBytes(); }
  /// Bytes from the key of an entry to the next one's, and from one of its columns to the next.
  int64_t getKeyEntryBytes() { return hasKeyPanels() ? getElementBytes() : getValueLineBytes(); }
  int64_t getKeyColumnBytes() { return hasKeyPanels() ? getKeyLineBytes() : getElementBytes(); }
  int64_t getValueLineBytes() { return static_cast<int64_t>(cache.getDim()) * getElementBytes(); }
  /// Bytes of all keys of one layer and head, as many as of its values.
  int64_t getKeysBytes() { return static_cast<int64_t>(cache.getDim()) * getKeyLineBytes(); }
  int64_t getHeadBytes() { return 2 * getKeysBytes(); }
  /// Bytes before a layer; a literal of records, so that layers share a function.
  int64_t getLayerOffset(int64_t layer) { return layer * static_cast<int64_t>(cache.getHeads()) * getHeadBytes(); }
};

} // namespace lariat::vectors

#endif // LARIAT_LIB_CONVERSION_KERNELTOVECTOR_CACHEPAGE_H
