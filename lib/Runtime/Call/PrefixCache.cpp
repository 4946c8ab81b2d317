// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A list in the order of use. It is gone through once when a sequence comes and once when one ends, which is nothing
// beside a call.

#include "PrefixCache.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

/// Most bytes of pages, those that run among them, beside which sequences are retained where pages have no limit.
static constexpr int64_t kMaxBytesWithoutLimit = int64_t(1) << 30;

PrefixCache::Place PrefixCache::find(const SequenceMemory *memory) {
  return std::ranges::find_if(entries, [&](const Entry &entry) { return entry.memory.get() == memory; });
}

PrefixCache::Place PrefixCache::erase(Place entry, KVPool &kv) {
  kv.truncate(entry->memory->caches, /*position=*/0);
  return entries.erase(entry);
}

void PrefixCache::add(std::unique_ptr<SequenceMemory> memory, const void *owner, KVPool &kv) {
  for (auto it = entries.begin(); it != entries.end();) {
    const SequenceMemory &other = *it->memory;
    bool isSame = other.key == memory->key;
    size_t numCommon = isSame ? countCommonRows(other.getSettled(), memory->getSettled()) : 0;
    if (isSame && numCommon == memory->settled.size()) {
      kv.truncate(memory->caches, /*position=*/0);
      touch(&other);
      return;
    }
    it = isSame && numCommon == other.settled.size() ? erase(it, kv) : std::next(it);
  }
  entries.push_back({std::move(memory), owner});
  const PageBudget &budget = kv.getBudget();
  while (budget.limit == 0 && budget.used > kMaxBytesWithoutLimit && freePages(kv))
    continue;
}

std::unique_ptr<SequenceMemory> PrefixCache::take(const SequenceMemory *memory) {
  Place entry = find(memory);
  std::unique_ptr<SequenceMemory> taken = std::move(entry->memory);
  entries.erase(entry);
  return taken;
}

void PrefixCache::touch(const SequenceMemory *memory) { entries.splice(entries.end(), entries, find(memory)); }

/// Drops the later half of the rows, down to a whole page, or all.
void PrefixCache::shorten(Place entry, KVPool &kv) {
  SequenceMemory &memory = *entry->memory;
  int64_t length = static_cast<int64_t>(memory.settled.size()) / 2 / abi::kPageEntries * abi::kPageEntries;
  if (length == 0 || length < memory.key->prefix || !kv.truncate(memory.caches, static_cast<int32_t>(length))) {
    erase(entry, kv);
    return;
  }
  memory.settled.resize(length);
  memory.length = length;
}

bool PrefixCache::freePages(KVPool &kv, const SequenceMemory *spared) {
  int64_t before = kv.getBudget().used;
  while (kv.getBudget().used == before) {
    auto entry = std::ranges::find_if(entries, [&](const Entry &one) { return one.memory.get() != spared; });
    if (entry == entries.end())
      return false;
    shorten(entry, kv);
  }
  return true;
}

void PrefixCache::drop(const void *owner, KVPool &kv) {
  for (auto it = entries.begin(); it != entries.end();)
    it = it->owner == owner ? erase(it, kv) : std::next(it);
}
