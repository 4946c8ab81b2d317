// RUN: lariat-opt %s --lariat-derive-steps --remarks-filter=lariat-derive-steps --remark-format=emitRemark 2>&1 | FileCheck %s

// The record of a seat, field by field.
// CHECK: remark: {{.*}}seat record of 3 values, 41 bytes per row: carried 8xf32 (32 bytes), invariant i1 (1 bytes), max index (8 bytes)
func.func @forward(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %bits: tensor<?xi1, #lariat.of<"all">>,
                   %max: index) {
  %x, %s0 = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %stop = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>) stop(%stop)
  }
  return
}
