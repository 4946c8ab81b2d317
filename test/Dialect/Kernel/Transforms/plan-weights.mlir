// RUN: lariat-opt %s --kernel-plan-weights | FileCheck %s
// Small pieces share a page, large ones start at one; the whole is a number of pages. Frequencies come first, whatever else
// there is, so that they lie in the same place in every layout.

// CHECK: module attributes {kernel.weight_bytes = 16384 : i64}
// CHECK: kernel.packed @a vector {{.*}} offset(192)
kernel.packed @a vector ["a"] shape [3] : f32
// CHECK: kernel.packed @b vector {{.*}} offset(256)
kernel.packed @b vector ["b"] shape [17] : f32
// CHECK: kernel.packed @c panels {{.*}} offset(4096)
kernel.packed @c panels ["c"] shape [33, 32] : f32
// CHECK: kernel.packed @d panels {{.*}} depths(3) offset(10240)
kernel.packed @d panels ["d"] shape [16, 31] depths(3) : bf16
// Of rotary tables the frequencies are stored; their lines have addresses of their own, whatever their number.
// CHECK: kernel.rope_table @r {{.*}} offset(0) stored(0)
kernel.rope_table @r [1.0, 0.5] positions(10000000) angles(f32)
// CHECK: kernel.rope_table @s [] source("b") pairs(9) {{.*}} offset(640000000) stored(64)
kernel.rope_table @s [] source("b") pairs(9) positions(64) angles(bf16) magnitude(1.5)
