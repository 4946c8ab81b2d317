// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What an artefact was compiled for, and the variants of its entry functions.

#ifndef LARIAT_ARTEFACT_MODES_H
#define LARIAT_ARTEFACT_MODES_H

#include "lariat/Artefact/Names.h"

namespace lariat::abi {

/// How an artefact was compiled.
enum class Pipeline {
  Reference, ///< naively, for lariat-reference
  Fast,      ///< to kernels, for the runtime
};

template <>
inline constexpr std::array<NamedValue<Pipeline>, 2> kNames<Pipeline> = {
    {{Pipeline::Reference, "reference"}, {Pipeline::Fast, "fast"}}};

enum class ModelKind { Decoder, Encoder };

template <>
inline constexpr std::array<NamedValue<ModelKind>, 2> kNames<ModelKind> = {
    {{ModelKind::Decoder, "decoder"}, {ModelKind::Encoder, "encoder"}}};

/// How non-causal routers select: as trained (Score), or by their decode rules (Generate).
enum class RunMode { Score, Generate };

template <>
inline constexpr std::array<NamedValue<RunMode>, 2> kNames<RunMode> = {
    {{RunMode::Score, "score"}, {RunMode::Generate, "generate"}}};

/// What a row that stopped early leaves in deeper slots.
enum class MissingMode { Skip, Slot0, CopyLast, Propagate, Compute };

template <>
inline constexpr std::array<NamedValue<MissingMode>, 5> kNames<MissingMode> = {{{MissingMode::Skip, "skip"},
                                                                                {MissingMode::Slot0, "slot0"},
                                                                                {MissingMode::CopyLast, "copy_last"},
                                                                                {MissingMode::Propagate, "propagate"},
                                                                                {MissingMode::Compute, "compute"}}};

/// What an input or output of an entry function holds.
enum class PortKind { Rows, Values };

template <>
inline constexpr std::array<NamedValue<PortKind>, 2> kNames<PortKind> = {
    {{PortKind::Rows, "rows"}, {PortKind::Values, "values"}}};

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_MODES_H
