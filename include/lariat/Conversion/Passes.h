// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lowerings between levels; dialects/Conversions/ConversionPasses.td describes each.

#ifndef LARIAT_CONVERSION_PASSES_H
#define LARIAT_CONVERSION_PASSES_H

#include "lariat/Conversion/LariatToKernel/LariatToKernel.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "mlir/Pass/Pass.h"

namespace lariat {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lariat/Conversion/ConversionPasses.h.inc"

} // namespace lariat

#endif // LARIAT_CONVERSION_PASSES_H
