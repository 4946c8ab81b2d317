// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Sequences that nobody runs, retained for those to come that begin with the same rows. They live as long as
// pages last: the least recently used one goes first, its later half before the rest. Guarded by the model's lock.

#ifndef LARIAT_LIB_RUNTIME_CALL_PREFIXCACHE_H
#define LARIAT_LIB_RUNTIME_CALL_PREFIXCACHE_H

#include "SequenceMemory.h"

#include <list>

namespace lariat::runtime {

class PrefixCache {
public:
  /// Takes a sequence over whose entries are those of its settled rows. What has no rows beyond those of another one is
  /// dropped.
  void add(std::unique_ptr<SequenceMemory> memory, const void *owner, KVPool &kv);
  /// Takes a sequence out.
  std::unique_ptr<SequenceMemory> take(const SequenceMemory *memory);
  /// Makes a sequence the most recently used one.
  void touch(const SequenceMemory *memory);
  /// Gives pages back, one at least; false where only `spared`, or nobody, has some of its own.
  bool freePages(KVPool &kv, const SequenceMemory *spared = nullptr);
  /// Drops all sequences of an owner.
  void drop(const void *owner, KVPool &kv);
  /// Forgets all, whose pages are gone.
  void forget() { entries.clear(); }

  struct Entry {
    std::unique_ptr<SequenceMemory> memory;
    const void *owner;
  };
  /// Least recently used first.
  const std::list<Entry> &getEntries() const { return entries; }

private:
  using Place = std::list<Entry>::iterator;

  Place find(const SequenceMemory *memory);
  Place erase(Place entry, KVPool &kv);
  void shorten(Place entry, KVPool &kv);

  std::list<Entry> entries;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_CALL_PREFIXCACHE_H
