// RUN: lariat-opt %s --kernel-choose-layout='panel-columns=32 keys=entries' --kernel-plan-weights | FileCheck %s
// RUN: lariat-opt %s --kernel-choose-layout='panel-columns=32 keys=entries' --kernel-choose-layout | FileCheck %s --check-prefix=DEFAULT
// Panels and pages get the form of a layout; places follow from it. Vectors have one form alone.

// CHECK: kernel.packed @w panels ["w"] shape [33, 16] panel_columns(32) offset(0) : f32
// DEFAULT: kernel.packed @w panels ["w"] shape [33, 16] : f32
kernel.packed @w panels ["w"] shape [33, 16] : f32
// CHECK: kernel.packed @n vector ["n"] shape [33] offset(4096) : f32
// DEFAULT: kernel.packed @n vector ["n"] shape [33] : f32
kernel.packed @n vector ["n"] shape [33] : f32
// CHECK: kernel.cache @kv number(0) layers(2) heads(1) dim(16) keys_by entries : f32
// DEFAULT: kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
