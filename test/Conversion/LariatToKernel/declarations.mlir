// RUN: lariat-opt %s --lariat-erase-row-sets --convert-lariat-to-kernel | FileCheck %s

// A function without a body has nothing to form, and nothing of it is left.
// CHECK: module {
// CHECK-NOT: @elsewhere
func.func private @elsewhere(!lariat.rows<"a">) -> !lariat.rows<"a">

// CHECK: func.func @here
func.func @here(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"a">> {
  %y = arith.negf %x : tensor<?x16xf32, #lariat.of<"a">>
  return %y : tensor<?x16xf32, #lariat.of<"a">>
}
