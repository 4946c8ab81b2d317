// RUN: lariat-opt %s --kernel-plan-weights | FileCheck %s
// Small pieces share a page, large ones start at one; the whole is a number of pages.

// CHECK: module attributes {kernel.weight_bytes = 20480 : i64}
// CHECK: kernel.packed @a vector {{.*}} offset(0)
kernel.packed @a vector ["a"] shape [3] : f32
// CHECK: kernel.packed @b vector {{.*}} offset(64)
kernel.packed @b vector ["b"] shape [17] : f32
// CHECK: kernel.packed @c panels {{.*}} offset(4096)
kernel.packed @c panels ["c"] shape [33, 32] : f32
// CHECK: kernel.packed @d panels {{.*}} depths(3) offset(10240)
kernel.packed @d panels ["d"] shape [16, 31] depths(3) : bf16
// CHECK: kernel.rope_table @r {{.*}} offset(16384)
kernel.rope_table @r [1.0, 0.5] positions(64) angles(f32)
