// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What a manifest describes, in the runtime's words: the structures are those of the artefact.

#ifndef LARIAT_RUNTIME_LOAD_MANIFEST_H
#define LARIAT_RUNTIME_LOAD_MANIFEST_H

#include "lariat/Artefact/Manifest.h"

namespace lariat::runtime {

using abi::ElementType;
using abi::kMaxDepth;
using abi::RowOrder;
using abi::SlotRule;
using manifest::Cache;
using manifest::CodeObject;
using manifest::DepthWeight;
using manifest::Function;
using manifest::Layout;
using manifest::Manifest;
using manifest::Port;
using manifest::RefusedVariant;
using manifest::RopeTable;
using manifest::State;

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_LOAD_MANIFEST_H
