// RUN: lariat-opt %s --split-input-file --kernel-merge-variants | FileCheck %s

// Equal functions are kept once, whatever their order.
// CHECK-LABEL: module attributes {kernel.symbols = {first = {forward = "lariat_forward"}, second = {forward = "lariat_forward"}}}
// CHECK-COUNT-3: func.func
// CHECK-NOT: func.func
module {
  module @first {
    func.func private @a() -> i32 { %c = arith.constant 1 : i32  return %c : i32 }
    func.func private @b() -> i32 { %c = arith.constant 2 : i32  return %c : i32 }
    func.func @lariat_forward() -> (i32, i32) attributes {kernel.entry = "forward"} {
      %x = call @a() : () -> i32
      %y = call @b() : () -> i32
      return %x, %y : i32, i32
    }
  }
  module @second {
    func.func @lariat_forward_other() -> (i32, i32) attributes {kernel.entry = "forward"} {
      %x = call @a() : () -> i32
      %y = call @b() : () -> i32
      return %x, %y : i32, i32
    }
    func.func private @b() -> i32 { %c = arith.constant 2 : i32  return %c : i32 }
    func.func private @a() -> i32 { %c = arith.constant 1 : i32  return %c : i32 }
  }
}

// -----

// Calls are followed, not names: @a and @b are the other way round, so the entries differ though their text is the same.
// CHECK-LABEL: module attributes {kernel.symbols = {first = {forward = "lariat_forward"}, second = {forward = "lariat_forward_swapped"}}}
// CHECK-COUNT-4: func.func
// CHECK-NOT: func.func
module {
  module @first {
    func.func private @a() -> i32 { %c = arith.constant 1 : i32  return %c : i32 }
    func.func private @b() -> i32 { %c = arith.constant 2 : i32  return %c : i32 }
    func.func @lariat_forward() -> (i32, i32) attributes {kernel.entry = "forward"} {
      %x = call @a() : () -> i32
      %y = call @b() : () -> i32
      return %x, %y : i32, i32
    }
  }
  module @second {
    func.func private @a() -> i32 { %c = arith.constant 2 : i32  return %c : i32 }
    func.func private @b() -> i32 { %c = arith.constant 1 : i32  return %c : i32 }
    func.func @lariat_forward_swapped() -> (i32, i32) attributes {kernel.entry = "forward"} {
      %x = call @a() : () -> i32
      %y = call @b() : () -> i32
      return %x, %y : i32, i32
    }
  }
}

// -----

// A name that is taken by other code gets a number.
// CHECK-LABEL: module attributes {kernel.symbols = {first = {forward = "lariat_forward"}, second = {forward = "lariat_forward_1"}}}
// CHECK: func.func @lariat_forward()
// CHECK: func.func @lariat_forward_1()
module {
  module @first {
    func.func @lariat_forward() -> i32 attributes {kernel.entry = "forward"} {
      %c = arith.constant 1 : i32
      return %c : i32
    }
  }
  module @second {
    func.func @lariat_forward() -> i32 attributes {kernel.entry = "forward"} {
      %c = arith.constant 2 : i32
      return %c : i32
    }
  }
}

// -----

// Different entries share no code, even where it is equal.
// CHECK-LABEL: module attributes {kernel.symbols = {first = {coda = "lariat_coda", forward = "lariat_forward"}}}
// CHECK: func.func @lariat_forward()
// CHECK: func.func @lariat_coda()
module {
  module @first {
    func.func @lariat_forward() attributes {kernel.entry = "forward"} { return }
    func.func @lariat_coda() attributes {kernel.entry = "coda"} { return }
  }
}

// -----

// Declarations are shared by what they hold; what differs under the same name gets a number.
// CHECK-LABEL: module attributes {kernel.symbols
// CHECK-NEXT: kernel.packed @w vector ["w"]
// CHECK-NEXT: kernel.cache @kv
// CHECK-NEXT: kernel.packed @w_1 vector ["other"]
// CHECK-NEXT: }
module {
  module @first {
    kernel.packed @w vector ["w"] shape [4] : f32
    kernel.cache @kv number(0) layers(1) heads(1) dim(4) : f32
  }
  module @second {
    kernel.packed @w vector ["w"] shape [4] : f32
    kernel.packed @v vector ["w"] shape [4] : f32
    kernel.cache @kv number(0) layers(1) heads(1) dim(4) : f32
  }
  module @third {
    kernel.packed @w vector ["other"] shape [4] : f32
  }
}

// -----

// The name of a variant is no name of the program.
// CHECK-LABEL: module attributes {kernel.symbols = {score = {}}}
// CHECK-NEXT: kernel.packed @score
module {
  module @score {
    kernel.packed @score vector ["w"] shape [4] : f32
  }
}
