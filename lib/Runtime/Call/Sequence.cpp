// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequences: what can be asked of them and how they end.

#include "lariat/Runtime/Call/Sequence.h"

#include "ModelState.h"

#include <algorithm>
#include <unistd.h>

using namespace lariat;
using namespace lariat::runtime;

void CacheUse::add(const CacheUse &other) {
  slots.resize(std::max(slots.size(), other.slots.size()));
  for (size_t slot = 0; slot < other.slots.size(); ++slot) {
    slots[slot].computed += other.slots[slot].computed;
    slots[slot].filled += other.slots[slot].filled;
    slots[slot].pages += other.slots[slot].pages;
  }
  liveBytes += other.liveBytes;
  pageBytes += other.pageBytes;
}

Sequence::Sequence(std::shared_ptr<ModelState> model, std::unique_ptr<SequenceMemory> memory)
    : model(std::move(model)), memory(std::move(memory)) {}

Sequence::~Sequence() {
  if (!memory || model->process != getpid())
    return;
  std::lock_guard lock(model->mutex);
  if (!model->closed)
    model->kv->truncate(memory->caches, /*position=*/0);
  model->sequences.erase(memory->number);
}

Status Sequence::truncate(int64_t position) {
  if (Status status = model->verifyProcess())
    return status;
  std::lock_guard lock(model->mutex);
  if (Status status = model->verifyOpen())
    return status;
  if (position < 0 || position >= abi::kPrefixBit)
    return makeError("cannot drop entries from position ", position, " on, expected 0 to ", abi::kPrefixBit - 1);
  if (position > 0 && position < memory->length && !memory->states.empty())
    return makeError("cannot drop entries from position ", position,
                     " on: the model has states, which cannot be taken back");
  if (!model->kv->truncate(memory->caches, static_cast<int32_t>(position)))
    return makeError("cannot drop entries from position ", position,
                     " on: they lie out of order in pages that other sequences hold too");
  memory->length = std::min(memory->length, position);
  memory->settled.resize(std::min(memory->settled.size(), static_cast<size_t>(position)));
  if (position == 0) {
    for (SequenceState &state : memory->states)
      state = {};
    memory->failure.clear(); // nothing is left of the call that failed
  }
  return Status::success();
}

void Sequence::settle(std::span<const int64_t> tokens) {
  if (model->verifyProcess())
    return;
  std::lock_guard lock(model->mutex);
  memory->settled.insert(memory->settled.end(), tokens.begin(), tokens.end());
}

std::vector<CacheUse> Sequence::getUse() const {
  std::vector<CacheUse> result;
  if (model->verifyProcess())
    return result;
  std::lock_guard lock(model->mutex);
  if (model->closed)
    return result;
  for (int64_t index = 0; index < model->kv->getNumCaches(); ++index) {
    const PageLayout &layout = model->kv->getFacts(index).layout;
    CacheUse &use = result.emplace_back();
    for (const std::unique_ptr<Table> &table : memory->caches[index].getTables()) {
      SlotUse &slot = use.slots.emplace_back();
      if (!table)
        continue;
      slot = {table->size() - table->getNumFilled(), table->getNumFilled(), table->getNumPages()};
      use.liveBytes += table->size() * layout.getEntryBytes();
      use.pageBytes += table->getNumPages() * layout.getPageBytes();
    }
  }
  return result;
}

int64_t Sequence::getLength() const {
  if (model->verifyProcess())
    return 0;
  std::lock_guard lock(model->mutex);
  return memory->length;
}
