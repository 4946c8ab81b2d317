// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which kind an op or a group is of.

#include "Kinds.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::forming;

namespace {

/// The op that asks for a kind of kernel, and what writes it.
struct Kind {
  StringRef op;
  bool (*form)(KernelFormer &, Operation *);
};

template <typename OpT, bool (*form)(KernelFormer &, OpT)>
Kind kind() {
  return {OpT::getOperationName(), [](KernelFormer &former, Operation *op) { return form(former, cast<OpT>(op)); }};
}

/// Groups of a kind: `begin`, which may be null, runs at their first op.
struct KindOfGroup {
  GroupKind kind;
  void (*begin)(KernelFormer &, const Group &);
  void (*write)(KernelFormer &, const Group &);
};

} // namespace

static ArrayRef<Kind> getKinds() {
  static const Kind kinds[] = {
#define LARIAT_KIND(OpT, form) kind<OpT, form>(),
#include "Kinds.def"
  };
  return kinds;
}

static constexpr KindOfGroup kKindsOfGroups[] = {
    {GroupKind::Rowwise, nullptr, writeRowwise},
    {GroupKind::Gemm, beginGemm, writeGemm},
};

bool lariat::forming::formKind(KernelFormer &former, Operation *op) {
  const Kind *found =
      llvm::find_if(getKinds(), [&](const Kind &kind) { return kind.op == op->getName().getStringRef(); });
  return found != getKinds().end() && found->form(former, op);
}

static const KindOfGroup &getKind(const Group &group) {
  return *llvm::find_if(kKindsOfGroups, [&](const KindOfGroup &kind) { return kind.kind == group.kind; });
}

void lariat::forming::beginGroup(KernelFormer &former, const Group &group) {
  if (auto *begin = getKind(group).begin)
    begin(former, group);
}

void lariat::forming::writeGroup(KernelFormer &former, const Group &group) { getKind(group).write(former, group); }
