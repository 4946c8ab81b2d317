// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a manifest says of a model, whatever the pipeline.

#ifndef LARIAT_COMPILER_MODELMANIFEST_H
#define LARIAT_COMPILER_MODELMANIFEST_H

#include "lariat/Artefact/Manifest.h"
#include "lariat/Compiler/ModelFacts.h"

namespace lariat {

/// Model, loops, exit, traits, caches, states and modes. Fails for elements of a type that no artefact holds.
llvm::Expected<manifest::Manifest> describeModel(const ModelFacts &facts);

/// Fails with the end of a sentence, "has elements of type f64, expected f32, bf16, ...".
llvm::Expected<abi::ElementType> findElementType(mlir::Type type);

} // namespace lariat

#endif // LARIAT_COMPILER_MODELMANIFEST_H
