// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Proofs that what crosses a boundary is the same on both sides, so that the build fails where it is not:
// enumerations of the dialects have the numbers of lariat/Artefact, and the numbers that artefacts rely on are those of
// artefacts compiled before. A number of the second kind is written here once more on purpose: whoever changes it
// raises abi::kAbiVersion, and changes it here.

#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/ElementType.h"
#include "lariat/Artefact/Fault.h"
#include "lariat/Dialect/Kernel/IR/KernelEnums.h"
#include "lariat/Dialect/Lariat/IR/LariatEnums.h"

using namespace lariat;

/// Whether values of two enumerations have the same number.
template <typename Left, typename Right>
static constexpr bool areEqual(Left left, Right right) {
  return static_cast<int64_t>(left) == static_cast<int64_t>(right);
}

//===----------------------------------------------------------------------===//
// Dialects and artefacts
//===----------------------------------------------------------------------===//

using kernel::FactKind;
static_assert(areEqual(FactKind::Root, abi::kRoot) && areEqual(FactKind::Sequence, abi::kSequence) &&
                  areEqual(FactKind::Position, abi::kPosition) && areEqual(FactKind::Depth, abi::kDepth) &&
                  areEqual(FactKind::Flags, abi::kFlags) && areEqual(FactKind::Length, abi::kLength) &&
                  areEqual(kernel::getMaxEnumValForFactKind() + 1, abi::kNumRowColumns),
              "kernel::FactKind does not number the columns of abi::RowColumn");

using kernel::LookUpKind;
static_assert(areEqual(LookUpKind::Exact, abi::LookUp::Exact) &&
                  areEqual(LookUpKind::ElseFirst, abi::LookUp::ElseFirst) &&
                  areEqual(LookUpKind::NewestAtMost, abi::LookUp::NewestAtMost) &&
                  areEqual(LookUpKind::First, abi::LookUp::First) &&
                  areEqual(LookUpKind::AllAtMost, abi::LookUp::AllAtMost) &&
                  areEqual(kernel::getMaxEnumValForLookUpKind() + 1, abi::kNumLookUps),
              "kernel::LookUpKind does not number the look-ups of abi::LookUp");

static_assert(areEqual(kernel::SlotKind::Own, abi::SlotRule::Own) &&
                  areEqual(kernel::SlotKind::First, abi::SlotRule::First) &&
                  areEqual(kernel::SlotKind::Shared, abi::SlotRule::Shared) &&
                  areEqual(kernel::SlotKind::Ring, abi::SlotRule::Ring) &&
                  areEqual(kernel::getMaxEnumValForSlotKind() + 1, abi::kNames<abi::SlotRule::Kind>.size()),
              "kernel::SlotKind does not number the kinds of abi::SlotRule");

static_assert(areEqual(kernel::KeyOrder::Columns, abi::KeyOrder::Columns) &&
                  areEqual(kernel::KeyOrder::Entries, abi::KeyOrder::Entries) &&
                  areEqual(kernel::getMaxEnumValForKeyOrder() + 1, abi::kNames<abi::KeyOrder>.size()),
              "kernel::KeyOrder does not number the orders of abi::KeyOrder");

static_assert(areEqual(RowOrder::Free, abi::RowOrder::Free) && areEqual(RowOrder::Atomic, abi::RowOrder::Atomic) &&
                  areEqual(RowOrder::Sequential, abi::RowOrder::Sequential) &&
                  areEqual(getMaxEnumValForRowOrder() + 1, abi::kNames<abi::RowOrder>.size()),
              "lariat::RowOrder does not number the orders of abi::RowOrder");

static_assert(areEqual(MissingMode::Skip, abi::MissingMode::Skip) &&
                  areEqual(MissingMode::Slot0, abi::MissingMode::Slot0) &&
                  areEqual(MissingMode::CopyLast, abi::MissingMode::CopyLast) &&
                  areEqual(MissingMode::Propagate, abi::MissingMode::Propagate) &&
                  areEqual(MissingMode::Compute, abi::MissingMode::Compute) &&
                  areEqual(getMaxEnumValForMissingMode() + 1, abi::kNames<abi::MissingMode>.size()),
              "lariat::MissingMode does not number the modes of abi::MissingMode");

//===----------------------------------------------------------------------===//
// Artefacts of this version of the ABI
//===----------------------------------------------------------------------===//

static_assert(abi::kLineColumns == 16 && abi::kPageEntries == 64 && abi::kRowPadding == 16 && abi::kAlignment == 64,
              "the layout of data changed: raise abi::kAbiVersion");

using abi::ElementType;
static_assert(getElementBytes(ElementType::F32) == 4 && getElementBytes(ElementType::BF16) == 2 &&
                  getElementBytes(ElementType::I32) == 4 && getElementBytes(ElementType::Index) == 8 &&
                  getElementBytes(ElementType::I1) == 1,
              "the bytes of elements changed: raise abi::kAbiVersion");

static_assert(abi::kRoot == 0 && abi::kSequence == 1 && abi::kPosition == 2 && abi::kDepth == 3 && abi::kFlags == 4 &&
                  abi::kLength == 5 && abi::kNumRowColumns == 6,
              "the columns of row tables changed: raise abi::kAbiVersion");
static_assert(abi::kGenerated == 1 && abi::kPrefix == 2 && abi::kWanted == 4 && abi::kPrefixBit == 1 << 30,
              "the flags of rows changed: raise abi::kAbiVersion");

static_assert(areEqual(abi::LookUp::Exact, 0) && areEqual(abi::LookUp::ElseFirst, 1) &&
                  areEqual(abi::LookUp::NewestAtMost, 2) && areEqual(abi::LookUp::First, 3) &&
                  areEqual(abi::LookUp::AllAtMost, 4),
              "the numbers of look-ups changed: raise abi::kAbiVersion");

static_assert(areEqual(abi::SlotRule::Own, 0) && areEqual(abi::SlotRule::First, 1) &&
                  areEqual(abi::SlotRule::Shared, 2) && areEqual(abi::SlotRule::Ring, 3),
              "the numbers of slot rules changed: raise abi::kAbiVersion");

static_assert(abi::kKernelWord == 0 && abi::kFlagsWord == 1 && abi::kSizeWord == 2 && abi::kNumHeadWords == 3 &&
                  abi::kBarrierAfter == 1 && abi::kBaseBits == 8,
              "the words of records changed: raise abi::kAbiVersion");
static_assert(sizeof(abi::KernelTable) == 16 && offsetof(abi::KernelTable, kernels) == 8,
              "the table of kernels changed: raise abi::kAbiVersion");
static_assert(abi::kArena == 0 && abi::kWeights == 1 && abi::kCells == 2 && abi::kFirstPort == 3,
              "the bases of buffers changed: raise abi::kAbiVersion");

static_assert(abi::kFilledRows == 1 && abi::kExplicitSlots == 2,
              "the flags of Services::reserve changed: raise abi::kAbiVersion");
static_assert(abi::kFaultKind == 0 && abi::kFaultPlace == 1 && abi::kFaultFound == 2 && abi::kFaultEnd == 3 &&
                  abi::kNumFaultWords == 4 && abi::kDepthFault == 1 && abi::kSlotFault == 2 && abi::kWeightFault == 3 &&
                  abi::kStateFault == 4,
              "the words of faults changed: raise abi::kAbiVersion");
static_assert(sizeof(abi::EntryRef) == 16 && sizeof(abi::View) == 32,
              "the size of cache entries or views changed: raise abi::kAbiVersion");
